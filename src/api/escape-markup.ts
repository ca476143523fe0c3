/** A text as it stands in XML and HTML, where control characters may not stand at all. */
export function escapeMarkup(text: string): string {
  return text
    .replaceAll(/[^\P{C}\n\t]/gu, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
