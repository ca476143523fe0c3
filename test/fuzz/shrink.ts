/** A shorter text that still fails: ever smaller parts are left out as long as it does. */
export async function shrink(
  text: string,
  fails: (text: string) => Promise<boolean>,
): Promise<string> {
  let smallest = text;
  for (let size = Math.ceil(text.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < smallest.length;) {
      const shorter = smallest.slice(0, start) + smallest.slice(start + size);
      if (await fails(shorter)) smallest = shorter;
      else start += size;
    }
  }
  return smallest;
}
