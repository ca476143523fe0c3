/** Who signs requests. Never shown. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Where they came from, for messages: `the environment`, `profile ci of /root/.aws/credentials`. */
  readonly origin: string;
}

/** A bucket and what is ours in it. */
export interface BucketSettings {
  readonly bucket: string;
  readonly region: string;
  /** Without bucket and key; undefined for Amazon's own. */
  readonly endpoint: URL | undefined;
  /** The bucket stands in the path, not in the host name. */
  readonly usePathStyle: boolean;
  /** Key of a blob without its digest. */
  readonly blobsPrefix: string;
  /** Key of a manifest without its name. */
  readonly manifestsPrefix: string;
  /** What the cache is called; at least one. The first that is there is read, all are written. */
  readonly names: readonly string[];
  /** Parts that are sent at the same time. */
  readonly parallelism: number;
  /** Blobs that are older than so many milliseconds are written anew when they are used, so that no lifecycle rule ends them. */
  readonly touchAfter: number;
}
