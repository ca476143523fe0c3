/** See plugin.js: a plugin of rolldown and of vite. */
export const assembly: {
  readonly name: string;
  readonly resolveId: (id: string, importer?: string) => string | null;
  readonly load: (id: string) => Promise<string | null>;
};
