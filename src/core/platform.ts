import { endianness } from "node:os";
import { coreError } from "./errors.ts";

/** @see OCI image spec, image-index.md, "platform" */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
}

const knownSystems = new Set(
  (
    "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris " +
    "wasip1 windows zos"
  ).split(" "),
);

const knownArchitectures = new Set(
  (
    "386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le " +
    "ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm"
  ).split(" "),
);

/** Names that the world uses for an architecture, and what they mean here. */
const architectureAliases: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  i386: { architecture: "386" },
  x86_64: { architecture: "amd64" },
  "x86-64": { architecture: "amd64" },
  aarch64: { architecture: "arm64" },
  armhf: { architecture: "arm", variant: "v7" },
  armel: { architecture: "arm", variant: "v6" },
};

/** Node's `process.arch` where it differs from the name in image documents. */
const nodeArchitectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  mipsel: "mipsle",
  ppc64: endianness() === "LE" ? "ppc64le" : "ppc64",
};

/**
 * Parses `os`, `arch`, `os/arch` or `os/arch/variant`, each part optionally as `os(version+feature)`, and normalises
 * the result. What is not said comes from the host.
 * @throws PLATFORM_INVALID
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const [first = "", second, third] = parts;
  if (parts.length > 3 || parts.some((part) => part === "")) throw invalid(text);
  const { os, ...systemDetails } = parseSystem(text, first);
  if (second === undefined) return parseSingle(text, { os, ...systemDetails });
  if (!/^[\w-]+$/.test(second) || (third !== undefined && !/^[\w.-]+$/.test(third))) {
    throw invalid(text);
  }
  return normalizePlatform({
    os,
    architecture: second,
    ...(third === undefined ? {} : { variant: third }),
    ...systemDetails,
  });
}

/** `linux/amd64`, `linux/arm/v7`, `windows(10.0.17763+win32k)/amd64`: parses back to the same platform. */
export function formatPlatform(platform: Platform): string {
  const features = (platform.osFeatures ?? []).map((feature) => `+${feature}`).join("");
  const inside = (platform.osVersion ?? "") + features;
  const variant = platform.variant === undefined ? "" : `/${platform.variant}`;
  return `${platform.os}${inside === "" ? "" : `(${inside})`}/${platform.architecture}${variant}`;
}

/**
 * One spelling for each platform: `x86_64` is `amd64`, `aarch64` is `arm64`, `arm` alone is `arm/v7`, and variants
 * that name an architecture's base level (`amd64/v1`, `arm64/v8`) are dropped.
 */
export function normalizePlatform(platform: Platform): Platform {
  const { variant: given, architecture: spelled, os, ...rest } = platform;
  const alias = architectureAliases[spelled.toLowerCase()];
  const architecture = alias?.architecture ?? spelled.toLowerCase();
  const variant = normalizeVariant(architecture, alias?.variant ?? given?.toLowerCase() ?? "");
  return {
    os: os.toLowerCase() === "macos" ? "darwin" : os.toLowerCase(),
    architecture,
    ...(variant === "" ? {} : { variant }),
    ...rest,
  };
}

/** The platform of this process. */
export function hostPlatform(): Platform {
  const architecture = nodeArchitectures[process.arch] ?? process.arch;
  return normalizePlatform({
    os: process.platform,
    architecture,
    ...(architecture === "arm" ? { variant: armVariant() } : {}),
  });
}

/** Whether the world knows a system and an architecture of these names. */
export function isKnownPlatform({ os, architecture }: Platform): boolean {
  return knownSystems.has(os) && knownArchitectures.has(architecture);
}

/** Whether an image for `candidate` can run where `wanted` is asked for, older variants included. */
export function matchPlatform(candidate: Platform, wanted: Platform): boolean {
  return rank(candidate, platformVector(wanted), wanted) !== undefined;
}

/**
 * The best candidate for the wanted platform: the exact one, else the newest older variant (`arm/v7` takes `arm/v6`,
 * `amd64` takes `386`, `arm64` takes 32-bit `arm`); among equals the one that uses most OS features, then the first.
 * Candidates without a platform never match.
 */
export function choosePlatform<T extends { readonly platform?: Platform | undefined }>(
  candidates: readonly T[],
  wanted: Platform,
): T | undefined {
  const vector = platformVector(wanted);
  const ranked = candidates.flatMap((candidate) => {
    const { platform } = candidate;
    const place = platform === undefined ? undefined : rank(platform, vector, wanted);
    if (place === undefined) return [];
    return [{ candidate, place, features: platform?.osFeatures?.length ?? 0 }];
  });
  ranked.sort((a, b) => a.place - b.place || b.features - a.features);
  return ranked[0]?.candidate;
}

/** Place of the candidate among acceptable platforms, 0 is best; undefined when it cannot run there. */
function rank(
  candidate: Platform,
  vector: readonly Platform[],
  wanted: Platform,
): number | undefined {
  const found = normalizePlatform(candidate);
  const place = vector.findIndex(
    ({ os, architecture, variant }) =>
      os === found.os && architecture === found.architecture && variant === found.variant,
  );
  const offered = new Set(wanted.osFeatures ?? []);
  const featuresFit = (candidate.osFeatures ?? []).every((feature) => offered.has(feature));
  return place >= 0 && featuresFit && isVersionFit(found, wanted) ? place : undefined;
}

/** Only Windows images are bound to a build of the system, by the first three numbers of its version. */
function isVersionFit(candidate: Platform, wanted: Platform): boolean {
  if (candidate.os !== "windows" || !candidate.osVersion || !wanted.osVersion) return true;
  const build = (version: string): string => version.split(".").slice(0, 3).join(".");
  return build(candidate.osVersion) === build(wanted.osVersion);
}

/** Platforms that can run where `wanted` is asked for, best first. */
function platformVector(wanted: Platform): readonly Platform[] {
  const { os, architecture, variant = "" } = normalizePlatform(wanted);
  const make = (name: string, level: string): Platform =>
    normalizePlatform({ os, architecture: name, ...(level === "" ? {} : { variant: level }) });
  switch (architecture) {
    case "amd64":
      return [
        ...descend(variant, 1).map((level) => make("amd64", level)),
        make("amd64", ""),
        make("386", ""),
      ];
    case "arm":
      return armLevels(variant).map((level) => make("arm", level));
    case "arm64":
      return [
        ...arm64Levels(variant).map((level) => make("arm64", level)),
        ...armLevels("v8").map((level) => make("arm", level)),
      ];
    default:
      return [make(architecture, variant)];
  }
}

/** `v4` → v4, v3, v2 (levels above `base`); a variant that is no such number stands for itself. */
function descend(variant: string, base: number): readonly string[] {
  const level = /^v(\d+)$/.exec(variant)?.[1];
  if (level === undefined) return variant === "" ? [] : [variant];
  const count = Math.min(Math.max(Number(level) - base, 0), 16);
  return Array.from({ length: count }, (_, step) => `v${String(Number(level) - step)}`);
}

function armLevels(variant: string): readonly string[] {
  return descend(variant, 4);
}

/**
 * Each ARMv9.x can run what is made for v9.(x-1) and for v8.(x+5), and so on downwards.
 * @see Arm Architecture Reference Manual, "The Armv9 architecture extensions"
 */
function arm64Levels(variant: string): readonly string[] {
  const match = /^v([89])(?:\.(\d+))?$/.exec(variant === "" ? "v8" : variant);
  if (match === null) return [variant];
  const minor = Math.min(Number(match[2] ?? 0), 9);
  const down = (major: string, from: number): readonly string[] =>
    Array.from({ length: from + 1 }, (_, step) =>
      from === step ? `v${major}` : `v${major}.${String(from - step)}`,
    );
  return match[1] === "8" ? down("8", minor) : [...down("9", minor), ...down("8", minor + 5)];
}

function normalizeVariant(architecture: string, variant: string): string {
  const level = /^\d/.test(variant) ? `v${variant}` : variant;
  switch (architecture) {
    case "amd64":
      return level === "v1" ? "" : level;
    case "arm64":
      return level === "v8" || level === "v8.0" ? "" : level.replace(/^v9\.0$/, "v9");
    case "arm":
      return level === "" ? "v7" : level;
    default:
      return level;
  }
}

function parseSystem(
  text: string,
  part: string,
): { readonly os: string; readonly osVersion?: string; readonly osFeatures?: readonly string[] } {
  const match = /^([\w-]+)(?:\(([\w.-]*)((?:\+[\w.-]+)*)\))?$/.exec(part);
  if (match === null) throw invalid(text);
  const [, os = "", version = "", features = ""] = match;
  return {
    os,
    ...(version === "" ? {} : { osVersion: version }),
    ...(features === "" ? {} : { osFeatures: features.slice(1).split("+").sort() }),
  };
}

/** A lone word is a system when one of that name exists, else an architecture. */
function parseSingle(
  text: string,
  system: {
    readonly os: string;
    readonly osVersion?: string;
    readonly osFeatures?: readonly string[];
  },
): Platform {
  const host = hostPlatform();
  const { os: word, ...details } = system;
  const asSystem = normalizePlatform({ ...host, os: word, ...details });
  if (knownSystems.has(asSystem.os)) return asSystem;
  const asArchitecture = normalizePlatform({ os: host.os, architecture: word, ...details });
  if (knownArchitectures.has(asArchitecture.architecture)) return asArchitecture;
  throw invalid(text);
}

function armVariant(): string {
  const variables: object = process.config.variables;
  const version = "arm_version" in variables ? variables.arm_version : undefined;
  return `v${typeof version === "string" ? version : "7"}`;
}

function invalid(text: string): Error {
  return coreError("PLATFORM_INVALID", `parse platform ${JSON.stringify(text.slice(0, 160))}`, {
    hint: "write os/architecture or os/architecture/variant, such as linux/amd64 or linux/arm/v7",
    details: { platform: text.slice(0, 160) },
  });
}
