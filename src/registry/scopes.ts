/**
 * Joins scopes (`repository:team/app:pull,push`) to the smallest list that means the same: each resource once, with
 * all its actions. What a registry has just demanded comes first, since there are token servers that look at the
 * first scope only; the rest is sorted.
 */
export function joinScopes(
  demanded: readonly string[],
  wanted: readonly string[],
): readonly string[] {
  const first = [...new Set(demanded.map(resourceOf))];
  const actions = new Map<string, Set<string>>();
  for (const scope of [...demanded, ...wanted]) {
    const resource = resourceOf(scope);
    const known = actions.get(resource) ?? new Set();
    for (const action of scope.slice(resource.length + 1).split(",")) known.add(action);
    actions.set(resource, known);
  }
  const rest = [...actions.keys()].filter((resource) => !first.includes(resource)).sort();
  return [...first, ...rest].map((resource) => {
    const list = [...(actions.get(resource) ?? [])].filter((action) => action !== "").sort();
    return list.length === 0 ? resource : `${resource}:${list.join(",")}`;
  });
}

/** Type and name; a name may hold colons, as `host:5000/app` does. */
function resourceOf(scope: string): string {
  const colon = scope.lastIndexOf(":");
  return scope.indexOf(":") === colon ? scope : scope.slice(0, colon);
}

/** The scopes of a challenge. */
export function scopesOf(text: string | undefined): readonly string[] {
  return (text ?? "").split(" ").filter((scope) => scope !== "");
}
