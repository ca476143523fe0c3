import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Paths of PEM files. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority that only the test knows. */
export interface TestAuthority {
  /** PEM file. */
  readonly certificate: string;
  /** Makes a certificate for 127.0.0.1, or for whoever calls themselves `name`. */
  issue(name: string): Promise<CertificatePair>;
}

/** Makes an authority in a folder, with openssl. */
export async function makeAuthority(folder: string): Promise<TestAuthority> {
  const [certificate, key] = [join(folder, "ca.pem"), join(folder, "ca-key.pem")];
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-days", "2", "-subj", "/CN=tests", "-keyout", key, "-out", certificate],
  ]);
  return {
    certificate,
    issue: async (name) => {
      const [own, ownKey] = [join(folder, `${name}.pem`), join(folder, `${name}-key.pem`)];
      const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)];
      await writeFile(extensions, "subjectAltName = IP:127.0.0.1\n");
      await run("openssl", [
        ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        ...["-subj", `/CN=${name}`, "-keyout", ownKey, "-out", request],
      ]);
      await run("openssl", [
        ...["x509", "-req", "-days", "2", "-in", request, "-CA", certificate, "-CAkey", key],
        ...["-CAcreateserial", "-extfile", extensions, "-out", own],
      ]);
      return { certificate: own, key: ownKey };
    },
  };
}
