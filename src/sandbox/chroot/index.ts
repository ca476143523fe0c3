export { openChrootSandbox } from "./chroot-sandbox.ts";
