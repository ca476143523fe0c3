export {
  eraseCredentials,
  saveCredentials,
  type ErasedCredentials,
  type SaveCredentialsOptions,
  type SavedCredentials,
} from "./credential-writer.ts";
export {
  findStoredCredentials,
  type CredentialQuery,
  type Credentials,
  type CredentialSource,
  type FoundCredentials,
} from "./credentials.ts";
export { registryError, type RegistryErrorCode } from "./errors.ts";
export type { ListOptions } from "./listings.ts";
export { checkCredentials, listRepositories, type RegistryHostOptions } from "./open-host.ts";
export { openRegistry } from "./repository.ts";
export type * from "./types.ts";
