const proxyNames = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/**
 * Proxy settings given as build arguments, as every RUN gets them: in both letter cases, without ARG. When both cases
 * are given, the lower-case one wins. They never enter a cache key, the history or an expansion.
 */
export function proxyEnvironment(buildArgs: ReadonlyMap<string, string>): readonly string[] {
  const names = [...buildArgs.keys()].sort();
  return proxyNames.flatMap((proxy) => {
    const given = names.findLast((name) => name.toLowerCase() === proxy);
    const value = given === undefined ? undefined : buildArgs.get(given);
    return value === undefined ? [] : [`${proxy.toUpperCase()}=${value}`, `${proxy}=${value}`];
  });
}
