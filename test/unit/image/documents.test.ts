import { describe, expect, test } from "vitest";
import { digestOf, isTsbuildError, mediaTypes } from "../../../src/core/index.ts";
import {
  parseImageConfig,
  parseIndex,
  parseManifest,
  parseManifestOrIndex,
  serializeImageConfig,
  serializeIndex,
  serializeManifest,
  validateImage,
  type ImageConfig,
} from "../../../src/image/index.ts";
import { makeRandomImage, makeRandomIndex } from "../../support/random-image.ts";

const digest = digestOf("x");
const descriptor = { mediaType: mediaTypes.ociConfig, digest, size: 1 };
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe("manifests", () => {
  test("are read back as they were written", async () => {
    const { manifest } = await makeRandomImage();
    const full = {
      ...manifest,
      artifactType: "application/x-thing",
      annotations: { b: "<2>", a: "1" },
      subject: descriptor,
    };
    expect(parseManifest(serializeManifest(full))).toEqual(full);
    expect(parseManifest(serializeManifest(full), mediaTypes.ociManifest)).toEqual(full);
  });

  test("are written byte for byte as other builders do", () => {
    const text = serializeManifest({
      mediaType: mediaTypes.ociManifest,
      config: descriptor,
      layers: [],
      annotations: { z: "a&b", "10": "x", a: "" },
    }).toString();
    expect(text).toBe(`{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "${digest}",
    "size": 1
  },
  "layers": [],
  "annotations": {
    "10": "x",
    "a": "",
    "z": "a\\u0026b"
  }
}`);
  });

  test("without a type of their own take the one they are served as, or what they look like", () => {
    const bytes = json({ schemaVersion: 2, config: descriptor, layers: [] });
    expect(parseManifest(bytes).mediaType).toBe(mediaTypes.ociManifest);
    expect(parseManifest(bytes, mediaTypes.dockerManifest).mediaType).toBe(
      mediaTypes.dockerManifest,
    );
    const docker = { ...descriptor, mediaType: mediaTypes.dockerConfig };
    expect(parseManifest(json({ config: docker, layers: null })).mediaType).toBe(
      mediaTypes.dockerManifest,
    );
    expect(parseIndex(json({ schemaVersion: 2, manifests: [] })).mediaType).toBe(
      mediaTypes.ociIndex,
    );
  });

  test.each([
    ["index and manifest at once", { schemaVersion: 2, manifests: [], config: descriptor }],
    [
      "an index with layers",
      { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], layers: [] },
    ],
    [
      "a manifest with manifests",
      { mediaType: mediaTypes.ociManifest, config: descriptor, layers: [], manifests: [] },
    ],
    ["no config", { schemaVersion: 2, layers: [] }],
    ["a type that is unknown", { mediaType: "text/plain", config: descriptor, layers: [] }],
    ["a digest that is none", { config: { ...descriptor, digest: "sha256:00" }, layers: [] }],
    ["a negative size", { config: { ...descriptor, size: -1 }, layers: [] }],
    ["a size that is no integer", { config: { ...descriptor, size: 1.5 }, layers: [] }],
    ["layers that are no list", { config: descriptor, layers: {} }],
    ["a layer that is null", { config: descriptor, layers: [null] }],
    ["annotations that are numbers", { config: descriptor, layers: [], annotations: { a: 1 } }],
    ["a list", []],
  ])("with %s are refused [R4.3]", (_name, value) => {
    expect(codeOf(() => parseManifestOrIndex(json(value)))).toBe("IMAGE_INVALID");
  });

  test("that are no JSON, no UTF-8, or too large are refused [R4.7]", () => {
    expect(codeOf(() => parseManifest(Buffer.from("{")))).toBe("IMAGE_INVALID");
    expect(codeOf(() => parseManifest(Buffer.from([0x22, 0xff, 0x22])))).toBe("IMAGE_INVALID");
    const [largest, larger] = [4 * 1024 * 1024, 4 * 1024 * 1024 + 1];
    expect(codeOf(() => parseManifest(Buffer.alloc(largest, " ")))).toBe("IMAGE_INVALID");
    expect(codeOf(() => parseManifest(Buffer.alloc(larger, " ")))).toBe("IMAGE_TOO_LARGE");
  });

  test("served as something else than they say are refused [R4.3]", () => {
    const bytes = json({ mediaType: mediaTypes.ociManifest, config: descriptor, layers: [] });
    expect(codeOf(() => parseManifest(bytes, mediaTypes.ociIndex))).toBe("IMAGE_INVALID");
    expect(codeOf(() => parseIndex(bytes))).toBe("IMAGE_INVALID");
  });

  test("of schema 1 are refused by name, however they are served [R4.2]", () => {
    const bytes = json({ schemaVersion: 1, name: "app", fsLayers: [] });
    for (const type of [undefined, mediaTypes.dockerSchema1, mediaTypes.ociManifest]) {
      expect(codeOf(() => parseManifest(bytes, type))).toBe("IMAGE_SCHEMA1");
    }
    expect(codeOf(() => parseManifest(json({}), mediaTypes.dockerSchema1Signed))).toBe(
      "IMAGE_SCHEMA1",
    );
  });

  test("of many platforms are read back as they were written", async () => {
    const { blobs, root } = await makeRandomIndex(["linux/amd64", "linux/arm/v7"]);
    const index = parseIndex(blobs.get(root.digest) ?? Buffer.alloc(0), root.mediaType);
    const windows = {
      ...descriptor,
      platform: {
        os: "windows",
        architecture: "amd64",
        osVersion: "10.0.1",
        osFeatures: ["win32k"],
      },
    };
    const more = { ...index, manifests: [...index.manifests, windows] };
    expect(parseIndex(serializeIndex(more))).toEqual(more);
  });
});

describe("configs", () => {
  const full: ImageConfig = {
    created: "2024-01-01T00:00:00.123456789Z",
    author: "me",
    os: "linux",
    architecture: "arm",
    variant: "v7",
    osVersion: "1",
    osFeatures: ["f"],
    config: {
      user: "1000:1000",
      exposedPorts: ["53/udp", "80/tcp"],
      env: ["PATH=/bin", "A=<&>\u2028"],
      entrypoint: ["/entry"],
      cmd: ["-x"],
      volumes: ["/data"],
      workingDir: "/work",
      labels: { z: "1", a: "2", "9": "3", é: "4", "\u{1f600}": "5", "\uffee": "6" },
      stopSignal: "SIGINT",
      healthcheck: {
        test: ["CMD-SHELL", "true"],
        interval: 30_000_000_000,
        timeout: 1_000_000,
        startPeriod: 2,
        startInterval: 3,
        retries: 4,
      },
      onBuild: ["RUN true"],
      shell: ["/bin/bash", "-c"],
      argsEscaped: true,
    },
    diffIds: [],
    history: [
      { created: "2024-01-01T00:00:00Z", createdBy: "CMD x", comment: "buildkit.dockerfile.v0" },
      { author: "me", emptyLayer: true },
    ],
  };

  test("are read back as they were written, and written the same again", () => {
    const bytes = serializeImageConfig(full);
    expect(parseImageConfig(bytes)).toEqual(full);
    expect(serializeImageConfig(parseImageConfig(bytes))).toEqual(bytes);
  });

  test("are written in the spelling and order of the world", () => {
    const text = serializeImageConfig(full).toString();
    expect(text).toContain('"Env":["PATH=/bin","A=\\u003c\\u0026\\u003e\\u2028"]');
    expect(text).toContain('"ExposedPorts":{"53/udp":{},"80/tcp":{}}');
    expect(text).toContain(
      '"Labels":{"9":"3","a":"2","z":"1","é":"4","\uffee":"6","\u{1f600}":"5"}',
    );
    expect(text).toContain('"rootfs":{"type":"layers","diff_ids":[]}');
    expect(text).toContain('"Interval":30000000000');
    expect(text).toContain('{"author":"me","empty_layer":true}');
    expect(Object.keys(JSON.parse(text) as object)).toEqual(
      "architecture author config created history os os.features os.version rootfs variant".split(
        " ",
      ),
    );
  });

  test("leave empty values out", () => {
    const config = { user: "", env: [], labels: {}, volumes: [], argsEscaped: false };
    const text = serializeImageConfig({ ...full, config, history: [] }).toString();
    expect(text).toContain('"config":{}');
    expect(text).not.toContain("history");
  });

  test("take null for absent, as Go writes it", () => {
    const parsed = parseImageConfig(
      json({
        os: "linux",
        architecture: "amd64",
        config: { Cmd: null, Labels: null, Env: ["A=1"], Hostname: "x", Volumes: null },
        rootfs: { type: "layers", diff_ids: null },
        history: null,
        container_config: { Cmd: ["x"] },
      }),
    );
    expect(parsed).toEqual({
      os: "linux",
      architecture: "amd64",
      config: { env: ["A=1"] },
      diffIds: [],
      history: [],
    });
  });

  test("keep an empty list that was written", () => {
    const value = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } };
    expect(parseImageConfig(json({ ...value, config: { Cmd: [] } })).config.cmd).toEqual([]);
  });

  test("cannot put things into the prototype of what is read", () => {
    const text = `{"os":"linux","architecture":"a","rootfs":{},"config":{"Labels":{"__proto__":"x"}}}`;
    const parsed = parseImageConfig(Buffer.from(text));
    expect(Object.entries(parsed.config.labels ?? {})).toEqual([["__proto__", "x"]]);
    expect(serializeImageConfig(parsed).toString()).toContain('"Labels":{"__proto__":"x"}');
  });

  test.each([
    ["no rootfs", { os: "linux", architecture: "amd64" }],
    ["a foreign rootfs", { rootfs: { type: "zfs", diff_ids: [] } }],
    ["a diffId that is none", { rootfs: { type: "layers", diff_ids: ["x"] } }],
    ["an Env that is no list", { rootfs: {}, config: { Env: "A=1" } }],
    ["a label that is a number", { rootfs: {}, config: { Labels: { a: 1 } } }],
    ["a history that is no list", { rootfs: {}, history: {} }],
    ["a healthcheck in words", { rootfs: {}, config: { Healthcheck: { Interval: "30s" } } }],
  ])("with %s are refused", (_name, value) => {
    expect(codeOf(() => parseImageConfig(json(value)))).toBe("IMAGE_INVALID");
  });
});

describe("validation", () => {
  test("a sound image has no problems", async () => {
    const { manifest, config } = await makeRandomImage();
    expect(validateImage(manifest, config)).toEqual([]);
  });

  test("layers, history and names are counted", async () => {
    const { manifest, config } = await makeRandomImage();
    const codes = validateImage(
      { ...manifest, layers: manifest.layers.slice(1) },
      {
        ...config,
        architecture: "unknown",
        history: config.history.slice(1),
        config: { env: ["A=1", "A=2"] },
      },
    ).map(({ code }) => code);
    expect(codes).toEqual(["LAYER_COUNT", "HISTORY_COUNT", "DUPLICATE_ENV", "PLATFORM_UNKNOWN"]);
  });
});

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return isTsbuildError(error) ? error.code : String(error);
  }
  return undefined;
}
