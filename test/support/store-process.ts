// A process that does with a store what its parent says; see store-child.ts.
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore, type CacheSharing } from "../../src/store/index.ts";

/** What the parent may say. A hold lasts until `release`. */
export type StoreCommand =
  | { readonly do: "protect" }
  | { readonly do: "exclusive" }
  | { readonly do: "lock"; readonly name: string }
  | { readonly do: "cache"; readonly key: string; readonly sharing: CacheSharing }
  | { readonly do: "release" }
  /** Writes a blob that never ends, a chunk each millisecond. */
  | { readonly do: "write-forever" }
  | { readonly do: "write-blob"; readonly text: string; readonly times: number }
  /** Sets the name to the blobs of these texts in turn. */
  | {
      readonly do: "set-names";
      readonly name: string;
      readonly texts: readonly string[];
      readonly times: number;
    }
  /** Again and again: writes a blob, waits a moment, names it, and looks whether it is still there. */
  | { readonly do: "build-forever"; readonly name: string }
  | { readonly do: "close" };

const store = await openStore({ root: process.argv[2] ?? "" });
let release = (): void => undefined;

const hold = async (): Promise<void> => {
  const released = new Promise<void>((resolve) => (release = resolve));
  answer("held");
  await released;
};

process.on("message", (command: StoreCommand) => {
  // Its answer is that of the hold, which ends a moment later.
  if (command.do === "release") return release();
  obey(command).then(
    () => answer("done"),
    (error: unknown) => answer(`failed: ${String(error)}`),
  );
});
answer(`open ${store.tmpDir}`);

async function obey(command: Exclude<StoreCommand, { do: "release" }>): Promise<void> {
  switch (command.do) {
    case "protect":
      return store.protect(hold);
    case "exclusive":
      await store.tryExclusive(hold);
      return;
    case "lock":
      return store.withLock(command.name, hold);
    case "cache": {
      const { key, sharing } = command;
      const cache = await store.cacheMounts.acquire({ key, sharing, fill: async () => undefined });
      await hold();
      return cache.release();
    }
    case "write-forever":
      await store.blobs.write(Readable.from(endless()));
      return;
    case "write-blob":
      for (let turn = 0; turn < command.times; turn++)
        await store.blobs.writeBytes(Buffer.from(command.text));
      return;
    case "set-names":
      for (let turn = 0; turn < command.times; turn++) {
        const text = command.texts[turn % command.texts.length] ?? "";
        const { digest, size } = await store.blobs.writeBytes(Buffer.from(text));
        await store.names.set({
          name: command.name,
          descriptor: { mediaType: "text/plain", digest, size },
        });
      }
      return;
    case "build-forever":
      for (let turn = 0; ; turn++)
        await buildOnce(command.name, `${String(process.pid)} ${String(turn)}`);
    case "close":
      await store.close();
      process.disconnect();
  }
}

async function buildOnce(name: string, text: string): Promise<void> {
  const began = performance.now();
  await store.protect(async () => {
    const { digest, size } = await store.blobs.writeBytes(Buffer.from(text));
    await sleep(2);
    await store.names.set({ name, descriptor: { mediaType: "text/plain", digest, size } });
    await store.blobs.read(digest);
  });
  // The time in which a gc can come: on a slow machine longer, since it finds two of these at one moment.
  await sleep(3 + performance.now() - began);
}

async function* endless(): AsyncGenerator<Buffer> {
  for (;;) {
    yield Buffer.alloc(64 * 1024, 1);
    await sleep(1);
  }
}

function answer(text: string): void {
  process.send?.(text);
}
