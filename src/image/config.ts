import { diffId, hostPlatform, isDigest, type Platform } from "../core/index.ts";
import { withoutUndefined } from "./descriptor.ts";
import { imageError } from "./errors.ts";
import {
  invalidField,
  openJson,
  readBoolean,
  readDoor,
  readDoors,
  readInteger,
  readKeys,
  readStringMap,
  readStrings,
  readText,
  type JsonDoor,
} from "./json-door.ts";
import { wireKeys, wireList, wireMap, writeJson, type WireValue } from "./json-writer.ts";
import type { ExecConfig, Healthcheck, HistoryEntry, ImageConfig } from "./types.ts";

/** Largest config document that is read, in bytes. */
export const maxConfigSize = 16 * 1024 * 1024;

/**
 * Reads a config document. Fields that neither the OCI spec nor Docker's builder knows are not carried along, so a
 * config that is only copied must be copied as bytes.
 * @throws IMAGE_INVALID, IMAGE_TOO_LARGE
 * @see OCI image spec, config.md
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const door = openJson(bytes, "image config", maxConfigSize);
  const exec = readDoor(door, "config");
  return withoutUndefined({
    created: readText(door, "created"),
    author: readText(door, "author"),
    // Documents from before these fields were mandatory are for the machine that reads them.
    os: readText(door, "os") ?? "linux",
    architecture: readText(door, "architecture") ?? hostPlatform().architecture,
    variant: readText(door, "variant"),
    osVersion: readText(door, "os.version"),
    osFeatures: readStrings(door, "os.features"),
    config: exec === undefined ? {} : readExecConfig(exec),
    diffIds: readDiffIds(door),
    history: (readDoors(door, "history") ?? []).map(readHistoryEntry),
  });
}

/** The platform that an image is made for. */
export function configPlatform(config: ImageConfig): Platform {
  const { os, architecture, variant, osVersion, osFeatures } = config;
  return withoutUndefined({ os, architecture, variant, osVersion, osFeatures });
}

/**
 * The document as BuildKit writes it: one line, top-level keys in byte order, empty values left out. Equal configs
 * give equal bytes.
 */
export function serializeImageConfig(config: ImageConfig): Buffer {
  const document: Readonly<Record<string, WireValue>> = {
    ...config.members,
    architecture: config.architecture,
    author: config.author,
    config: execConfigToWire(config.config),
    created: config.created,
    history: wireList(config.history.map(historyEntryToWire)),
    os: config.os,
    "os.features": wireList(config.osFeatures),
    "os.version": config.osVersion,
    rootfs: { type: "layers", diff_ids: config.diffIds },
    variant: config.variant,
  };
  return writeJson(new Map(Object.entries(document)));
}

function readDiffIds(door: JsonDoor): ImageConfig["diffIds"] {
  const rootfs = readDoor(door, "rootfs");
  if (rootfs === undefined) {
    throw imageError("IMAGE_INVALID", "read image config: it has no rootfs", {
      hint: "this may be an artifact and no container image",
    });
  }
  const type = readText(rootfs, "type");
  if (type !== undefined && type !== "layers") throw invalidField(rootfs, "type", '"layers"');
  return (readStrings(rootfs, "diff_ids") ?? []).map((digest, index) => {
    if (isDigest(digest)) return diffId(digest);
    throw invalidField(rootfs, `diff_ids[${String(index)}]`, "a sha256 or sha512 digest");
  });
}

function readExecConfig(door: JsonDoor): ExecConfig {
  const healthcheck = readDoor(door, "Healthcheck");
  return withoutUndefined({
    user: readText(door, "User"),
    exposedPorts: readKeys(door, "ExposedPorts"),
    env: readStrings(door, "Env"),
    entrypoint: readStrings(door, "Entrypoint"),
    cmd: readStrings(door, "Cmd"),
    volumes: readKeys(door, "Volumes"),
    workingDir: readText(door, "WorkingDir"),
    labels: readStringMap(door, "Labels"),
    stopSignal: readText(door, "StopSignal"),
    healthcheck: healthcheck === undefined ? undefined : readHealthcheck(healthcheck),
    onBuild: readStrings(door, "OnBuild"),
    shell: readStrings(door, "Shell"),
    argsEscaped: readBoolean(door, "ArgsEscaped"),
  });
}

function execConfigToWire(config: ExecConfig): WireValue {
  return {
    User: config.user || undefined,
    ExposedPorts: wireKeys(config.exposedPorts),
    Env: wireList(config.env),
    Entrypoint: wireList(config.entrypoint),
    Cmd: wireList(config.cmd),
    Volumes: wireKeys(config.volumes),
    WorkingDir: config.workingDir || undefined,
    Labels: wireMap(config.labels),
    StopSignal: config.stopSignal || undefined,
    ArgsEscaped: config.argsEscaped || undefined,
    Healthcheck:
      config.healthcheck === undefined ? undefined : healthcheckToWire(config.healthcheck),
    OnBuild: wireList(config.onBuild),
    Shell: wireList(config.shell),
  };
}

function readHealthcheck(door: JsonDoor): Healthcheck {
  return withoutUndefined({
    test: readStrings(door, "Test"),
    interval: readInteger(door, "Interval"),
    timeout: readInteger(door, "Timeout"),
    startPeriod: readInteger(door, "StartPeriod"),
    startInterval: readInteger(door, "StartInterval"),
    retries: readInteger(door, "Retries"),
  });
}

function healthcheckToWire(healthcheck: Healthcheck): WireValue {
  return {
    Test: wireList(healthcheck.test),
    Interval: healthcheck.interval || undefined,
    Timeout: healthcheck.timeout || undefined,
    StartPeriod: healthcheck.startPeriod || undefined,
    StartInterval: healthcheck.startInterval || undefined,
    Retries: healthcheck.retries || undefined,
  };
}

function readHistoryEntry(door: JsonDoor): HistoryEntry {
  return withoutUndefined({
    created: readText(door, "created"),
    createdBy: readText(door, "created_by"),
    author: readText(door, "author"),
    comment: readText(door, "comment"),
    emptyLayer: readBoolean(door, "empty_layer"),
  });
}

function historyEntryToWire(entry: HistoryEntry): WireValue {
  return {
    created: entry.created,
    created_by: entry.createdBy,
    author: entry.author,
    comment: entry.comment,
    empty_layer: entry.emptyLayer || undefined,
  };
}
