/** `--platform` that may be repeated, each a list with commas. */
export function platformList(lists: readonly string[]): readonly string[] {
  return lists.flatMap((list) => list.split(","));
}
