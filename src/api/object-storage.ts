import type { BucketPlace } from "../object-storage/index.ts";
import type { Engine } from "./engine.ts";

/**
 * Opens a place in a bucket, by the fields that people write. Why one waits for it becomes a warning. The client is loaded here,
 * because most commands need none. Whoever opens a place closes it.
 * @throws OBJECT_STORAGE_SETTING_INVALID, OBJECT_STORAGE_CREDENTIALS_MISSING, OBJECT_STORAGE_CREDENTIALS_INVALID
 */
export async function openObjectStorage(
  { progress, clock }: Pick<Engine, "progress" | "clock">,
  fields: ReadonlyMap<string, string>,
): Promise<BucketPlace> {
  const { openBucketPlace } = await import("../object-storage/index.ts");
  return openBucketPlace({
    fields,
    onWait: (text) =>
      progress({
        type: "warning",
        time: clock.now().getTime(),
        code: "OBJECT_STORAGE_SAYS",
        message: `object storage: ${text}`,
      }),
  });
}
