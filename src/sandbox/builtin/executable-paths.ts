/** Where a program is looked for when the environment has no PATH; Docker's default for Linux images. */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The paths to try for `argv[0]`, in order: itself when it has a slash, else one for each entry of `env`'s PATH. */
export function executablePaths(
  argv: readonly string[],
  env: readonly string[],
): readonly string[] {
  const [command = ""] = argv;
  if (command === "" || command.includes("/")) return [command];
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length);
  // POSIX: an empty entry is the working directory.
  return (path ?? defaultPath)
    .split(":")
    .map((entry) => `${entry === "" ? "." : entry}/${command}`);
}
