export { openBucketPlace, type BucketPlace, type OpenBucketPlaceOptions } from "./bucket-place.ts";
export { objectStorageError, type ObjectStorageErrorCode } from "./errors.ts";
export { bucketFields } from "./settings.ts";
