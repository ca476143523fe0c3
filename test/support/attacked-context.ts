import type { BuildContext } from "../../src/context/index.ts";
import type { LocalFile, LocalTree, PlainTree, RootPath, StatKey } from "../../src/layer/index.ts";

/** Moments in the reading of one file: each time it is opened, first for its checksum and then for its copy. */
export type Moment =
  | "before the checksum"
  | "during the checksum"
  | "between checksum and copy"
  | "during the copy"
  | "after the copy";

/**
 * `context`, which must be a directory, with `attack` run once at exactly one moment in the reading of the file at
 * `path`: by the calls that the builder makes, so that nothing depends on who is faster.
 */
export function attackedContext(
  context: BuildContext,
  plan: { readonly path: string; readonly moment: Moment; readonly attack: () => void },
): BuildContext & { readonly wasAttacked: () => boolean } {
  const { local } = context;
  if (local === undefined) throw new Error("the context is no directory");
  let isDone = false;
  let opened = 0;
  /** `path`: in the context, or on the host. */
  const isMeant = (path: string): boolean => path === plan.path || path.endsWith(`/${plan.path}`);
  const reach = (path: string, moment: Moment): void => {
    if (isDone || plan.moment !== moment || !isMeant(path)) return;
    isDone = true;
    plan.attack();
  };
  const attacked = (path: string, open: () => LocalFile): LocalFile => {
    if (isMeant(path)) opened += 1;
    const isCopy = opened > 1;
    if (!isCopy) reach(path, "before the checksum");
    const file = open();
    reach(path, isCopy ? "during the copy" : "during the checksum");
    return attackedFile(file, () => {
      if (isCopy) reach(path, "after the copy");
    });
  };
  const open: LocalTree["open"] = (path, stat) =>
    attacked(path.toString(), () => local.open(path, stat));
  const { plain } = local;
  if (plain === undefined) throw new Error("the context is no directory");
  const attackedPlain: PlainTree = {
    next: (...place) => plain.next(...place),
    open: (files, index, directory) =>
      attacked(files.pathOf(index), () => plain.open(files, index, directory)),
    counted: (files, index) => {
      plain.counted(files, index);
      reach(files.pathOf(index), "between checksum and copy");
    },
  };
  const attackedLocal = replacing(local, { open, plain: attackedPlain });
  return replacing(context, {
    local: attackedLocal,
    openFile: async (path: RootPath) => {
      await attackedLocal.prepare();
      const stat = attackedLocal.lstat(path);
      if (stat === undefined) return context.openFile(path);
      const file = attackedLocal.open(path, stat);
      return { ...file, close: async () => file.close() };
    },
    pin: (version: StatKey) => {
      context.pin(version);
      reach(version.path, "between checksum and copy");
    },
    wasAttacked: () => isDone,
  });
}

function attackedFile(file: LocalFile, afterUse: () => void): LocalFile {
  return {
    ...file,
    close: () => {
      file.close();
      afterUse();
    },
  };
}

/** `whole` with some of its members replaced; methods that are left run on `whole` itself, which has private fields. */
function replacing<Whole extends object, Parts extends object>(
  whole: Whole,
  parts: Parts,
): Whole & Parts {
  return new Proxy(whole, {
    has: (target, name) => name in parts || name in target,
    get: (target, name) => {
      if (name in parts) return Reflect.get(parts, name) as unknown;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  }) as Whole & Parts;
}
