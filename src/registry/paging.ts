import { readBody, type HttpResponse } from "../core/index.ts";
import { maxManifestSize } from "../image/index.ts";
import type { RegistryRequest, Transport } from "./transport.ts";

/**
 * Reads a list page by page: the next one is where `Link: <…>; rel="next"` says, on the same registry only, and no
 * page is read twice. A page whose status is not 200 ends the list.
 */
export async function* readPages(
  transport: Transport,
  request: Omit<RegistryRequest, "method" | "target"> & { readonly target: string },
): AsyncGenerator<{ readonly response: HttpResponse; readonly body: Buffer }> {
  let target: string | URL = request.target;
  const seen = new Set<string>();
  for (;;) {
    const response: HttpResponse = await transport.send({
      ...request,
      method: "GET",
      target,
      bodyLimit: maxManifestSize,
    });
    yield { response, body: await readBody(response, maxManifestSize) };
    const next = response.status === 200 ? nextPage(response) : undefined;
    // A link to a page that was read already would never end.
    if (next === undefined || seen.has(next.href)) return;
    seen.add(next.href);
    target = next;
  }
}

function nextPage(response: HttpResponse): URL | undefined {
  const link = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(response.header("link") ?? "")?.[1];
  if (link === undefined || !URL.canParse(link, response.url.href)) return undefined;
  const next = new URL(link, response.url);
  return next.origin === response.url.origin ? next : undefined;
}
