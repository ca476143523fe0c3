import { readSync } from "node:fs";
import { isTsbuildError } from "../../core/index.ts";
import type { MergedTree } from "../../layer/index.ts";
import type { SurveyedNode } from "./survey.ts";
import type { ContextFinding } from "./types.ts";

type Finding = Omit<ContextFinding, "size" | "isUsed"> & { readonly node: SurveyedNode };

const folders: Readonly<Record<string, Pick<ContextFinding, "code" | "what">>> = {
  ".git": { code: "VERSION_CONTROL", what: "the history of a repository" },
  ".hg": { code: "VERSION_CONTROL", what: "the history of a repository" },
  ".svn": { code: "VERSION_CONTROL", what: "the history of a repository" },
  node_modules: { code: "DEPENDENCIES", what: "installed packages, which are this machine's" },
  ".venv": { code: "DEPENDENCIES", what: "installed packages, which are this machine's" },
  __pycache__: { code: "DEPENDENCIES", what: "compiled files, which are this machine's" },
  ".ssh": { code: "CREDENTIALS", what: "somebody's SSH settings and keys" },
  ".aws": { code: "CREDENTIALS", what: "access to a cloud" },
  ".gnupg": { code: "PRIVATE_KEY", what: "somebody's keys" },
};

const files: readonly (readonly [RegExp, Pick<ContextFinding, "code" | "what">])[] = [
  // `.env.example` and its kind are made to be shown.
  [
    /^\.env(?:\.(?!(?:.*\.)?(?:example|sample|template|dist|defaults?)$).+)?$/,
    { code: "ENVIRONMENT", what: "settings of an environment, often with passwords" },
  ],
  [/^id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?$/, { code: "PRIVATE_KEY", what: "a private SSH key" }],
  [/\.(?:p12|pfx|jks|keystore)$/i, { code: "PRIVATE_KEY", what: "a store of private keys" }],
  [
    /^(?:\.netrc|_netrc|\.pgpass|\.git-credentials|\.pypirc)$/,
    { code: "CREDENTIALS", what: "passwords" },
  ],
];

/** Files that may hold a secret or not: what is inside tells. */
const telling: readonly (readonly [RegExp, RegExp, Pick<ContextFinding, "code" | "what">])[] = [
  [
    /\.(?:pem|key)$/i,
    /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/,
    { code: "PRIVATE_KEY", what: "a private key" },
  ],
  [/^\.npmrc$/, /_authToken|_password|_auth\b/, { code: "CREDENTIALS", what: "a token of npm" }],
  [
    /^(?:config\.json|\.dockercfg)$/,
    /"auths?"\s*:/,
    { code: "CREDENTIALS", what: "passwords of registries" },
  ],
];

/**
 * Finds what seldom belongs into an image: histories, installed packages, secrets. Nothing is told twice: what lies in a
 * folder that is told is told with it.
 */
export async function findSuspicious(
  tree: MergedTree,
  nodes: readonly SurveyedNode[],
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const told = new Set<string>();
  for (const node of nodes) {
    const slash = node.name.lastIndexOf("/");
    const parent = slash === -1 ? undefined : node.name.slice(0, slash);
    if (parent !== undefined && told.has(parent)) {
      if (node.type === "directory") told.add(node.name);
      continue;
    }
    const kind = await kindOf(tree, node, node.name.slice(slash + 1));
    if (kind === undefined) continue;
    found.push({ ...kind, path: node.name, node });
    if (node.type === "directory") told.add(node.name);
  }
  return found;
}

async function kindOf(
  tree: MergedTree,
  node: SurveyedNode,
  name: string,
): Promise<Pick<ContextFinding, "code" | "what"> | undefined> {
  if (node.type === "directory") return Object.hasOwn(folders, name) ? folders[name] : undefined;
  if (node.type !== "file") return undefined;
  const byName = files.find(([pattern]) => pattern.test(name));
  if (byName !== undefined) return byName[1];
  for (const [pattern, content, kind] of telling) {
    if (pattern.test(name) && content.test(await readStart(tree, node))) return kind;
  }
  return undefined;
}

/** Bytes; keys and tokens stand at the beginning of their files. */
const startSize = 64 * 1024;

async function readStart(tree: MergedTree, { path, size }: SurveyedNode): Promise<string> {
  try {
    const file = await tree.openFile(path);
    try {
      const start = Buffer.alloc(Math.min(size, startSize));
      return start.toString("latin1", 0, readSync(file.fd, start, 0, start.length, 0));
    } finally {
      await file.close();
    }
  } catch (error) {
    // A file that we may not read is told by the build that copies it.
    if (isTsbuildError(error) && error.code.startsWith("CONTEXT_")) return "";
    throw error;
  }
}
