export { openOciSandbox, type OciSandboxOptions } from "./open-oci.ts";
