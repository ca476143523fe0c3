import { text } from "node:stream/consumers";
import { Option, type Command } from "commander";
import { logIn, logOut, usageError } from "../../api/index.ts";
import { ask } from "../ask.ts";
import type { Invocation } from "../invocation.ts";
import { warningPrinter } from "../warnings.ts";

interface Flags {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
  readonly insecure?: boolean;
}

/** `tsbuild login [REGISTRY]` */
export function addLoginCommand(program: Command, invocation: Invocation): void {
  program
    .command("login")
    .description("check user and password with a registry, and keep them where docker does")
    .argument("[registry]", "host, such as ghcr.io or localhost:5000 (default: Docker Hub)")
    .option("-u, --username <user>", "user")
    .option("--password-stdin", "read the password from standard input")
    .addOption(new Option("-p, --password <password>", "refused").hideHelp())
    .option("--insecure", "accept any certificate, and plain http")
    .action(async (registry: string | undefined, flags: Flags) => {
      const { signal } = invocation;
      const given = await readLogin(flags, signal);
      const progress = warningPrinter(process.stderr);
      const saved = await logIn({ registry, ...given, insecure: flags.insecure, signal, progress });
      if (saved.helper === undefined) {
        process.stderr.write(
          `The password stands in ${saved.path}, where whoever reads that file can read it; a credential helper (credsStore) keeps it better.\n`,
        );
      }
      process.stdout.write("Login Succeeded\n");
    });
}

/** `tsbuild logout [REGISTRY]` */
export function addLogoutCommand(program: Command, { signal }: Invocation): void {
  program
    .command("logout")
    .description("forget user and password of a registry")
    .argument("[registry]", "host (default: Docker Hub)")
    .action(async (host: string | undefined) => {
      const { registry, origins, remaining } = await logOut({ registry: host, signal });
      process.stdout.write(
        origins.length === 0
          ? `Not logged in to ${registry}\n`
          : `Removing login credentials for ${registry}\n`,
      );
      if (remaining === undefined) return;
      process.stderr.write(`${remaining} still has credentials for ${registry}\n`);
    });
}

async function readLogin(
  flags: Flags,
  signal: AbortSignal,
): Promise<{ readonly username: string; readonly password: string }> {
  const { username, password, passwordStdin } = flags;
  if (password !== undefined) {
    throw usageError(
      "take a password on the command line, where every user of this machine can read it",
      'write it to standard input: echo "$PASSWORD" | tsbuild login -u USER --password-stdin',
    );
  }
  if (passwordStdin === true) {
    if (username === undefined) {
      throw usageError("log in with --password-stdin without a user", "give one with -u");
    }
    // One newline is the file's; whatever else there is belongs to the password.
    return { username, password: (await text(process.stdin)).replace(/\r?\n$/, "") };
  }
  const user = username ?? (await ask("Username: ", { hidden: false, signal }));
  return { username: user.trim(), password: await ask("Password: ", { hidden: true, signal }) };
}
