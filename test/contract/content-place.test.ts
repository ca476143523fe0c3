import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openArchiveSink, openArchiveSource, type ArchiveFlavor } from "../../src/archive/index.ts";
import { isTsbuildError } from "../../src/core/index.ts";
import { openRegistry, type RegistryRepository } from "../../src/registry/index.ts";
import { MemoryPlace } from "../support/memory-place.ts";
import { startFakeRegistry, type FakeRegistryOptions } from "../support/registry.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { describeContentPlace, type ContentPlaceDriver } from "./content-place-contract.ts";

describeContentPlace("memory", () => {
  const place = new MemoryPlace();
  return Promise.resolve({
    write: (work) => work(place),
    read: (work) => work(place),
    nameOf: (tag) => tag,
  });
});

describeContentPlace("registry", () => openFake({}));

describeContentPlace("registry behind a token server, with a storage elsewhere", () =>
  openFake({
    login: { scheme: "bearer", username: "me", password: "secret" },
    redirectBlobs: true,
    uploadLocation: "query",
    withoutDigestHeader: true,
  }),
);

for (const flavor of ["oci", "docker"] as const) {
  describeContentPlace(`${flavor} archive`, () => openArchive(flavor));
}

async function openArchive(flavor: ArchiveFlavor): Promise<ContentPlaceDriver> {
  const folder = await temporaryFolder();
  const path = join(folder, "images.tar");
  return {
    breaksOnFailure: true,
    nameOf: (tag) => `host.io/team/app:${tag}`,
    write: async (work) => {
      const sink = await openArchiveSink({ output: path, flavor });
      try {
        await work(sink);
        await sink.finish();
      } catch (error) {
        await sink.abort();
        if (!isTsbuildError(error, "ARCHIVE_WRITE_FAILED")) throw error;
      }
    },
    read: async (work) => {
      const source = await openArchiveSource({ input: path });
      await work(source).finally(() => source.close());
    },
  };
}

async function openFake(options: FakeRegistryOptions): Promise<ContentPlaceDriver> {
  const registry = await startFakeRegistry(options);
  const open = (access: "pull" | "push"): RegistryRepository => {
    const repository = openRegistry({
      reference: { domain: registry.host, path: "team/app" },
      access,
      retry: { attempts: 3, baseDelay: 1 },
      credentials: () =>
        Promise.resolve({
          credentials: { type: "password", username: "me", password: "secret" },
          origin: "test",
        }),
    });
    onTestFinished(() => repository.close());
    return repository;
  };
  return {
    write: (work) => work(open("push")),
    read: (work) => work(open("pull")),
    nameOf: (tag) => `${registry.host}/team/app:${tag}`,
  };
}
