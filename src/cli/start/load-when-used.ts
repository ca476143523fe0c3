/**
 * Stands for a module that is loaded when somebody first looks at a member of it. `load` gives the same object each
 * time, as `require` does.
 */
export function loadWhenUsed(load: () => object): object {
  return new Proxy(
    {},
    {
      get: (_, name) => Reflect.get(load(), name) as unknown,
      has: (_, name) => Reflect.has(load(), name),
      ownKeys: () => Reflect.ownKeys(load()),
      getOwnPropertyDescriptor: (_, name) => {
        const found = Reflect.getOwnPropertyDescriptor(load(), name);
        // The object that stands here has no members, and a proxy must not tell of one that could not be removed.
        return found && { ...found, configurable: true };
      },
    },
  );
}
