import { coreError, createLimiter, monotonicMs } from "../core/index.ts";
import type { Op, Plan, Vertex, VertexId } from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import {
  isSameRead,
  makeKey,
  opFields,
  type CacheKey,
  type FileFields,
  type KeyPart,
} from "./keys.ts";
import { gitFields } from "./ops/git.ts";
import { ancestorsOf, isForeignTree, locateAt, vertexOf } from "./plan-vertices.ts";
import { readFieldsOf, treeOf } from "./read-set.ts";
import type { VertexResult } from "./result.ts";

export interface VertexKeysOptions {
  readonly plan: Plan;
  readonly environment: BuildEnvironment;
  /** Opens a tree from outside, whose files enter the definitions of those that read it. */
  readonly openTree: (id: VertexId) => Promise<VertexResult>;
}

/** Checksums of what an op reads of one input. */
interface FilesRead {
  readonly fields: readonly FileFields[];
  /** Milliseconds of `monotonicMs`; Infinity for what was copied: then it is true, whatever became of the files. */
  readonly readAt: number;
}

const momentMs = 1000;

/** The two cache keys of each vertex of a plan, each made once: by definition before anything is solved, by content after the inputs are. */
export class VertexKeys {
  readonly #options: VertexKeysOptions;
  readonly #definitions = new Map<VertexId, Promise<CacheKey>>();
  readonly #contents = new Map<VertexId, CacheKey>();
  readonly #reading = createLimiter(1);
  /** What definitions were made of, by vertex and input. */
  readonly #reads = new Map<string, FilesRead>();
  /** Steps whose files are others by now than their definitions tell, and all that stands on them. */
  readonly #outdated = new Set<VertexId>();

  constructor(options: VertexKeysOptions) {
    this.#options = options;
  }

  /** Op and keys of inputs. @throws what keeps its files from being read, located at the instruction */
  async definition(id: VertexId): Promise<CacheKey> {
    const { plan } = this.#options;
    const vertex = vertexOf(plan, id);
    for (const each of [...ancestorsOf(plan, vertex, this.#definitions), vertex]) {
      if (this.#definitions.has(each.id) || isForeignTree(each.op)) continue;
      const key = this.#computeDefinition(each).catch((error: unknown) => {
        throw locateAt(each, error);
      });
      // Awaited by whoever asks; a second asker must not see an unhandled rejection of the first.
      key.catch(() => undefined);
      this.#definitions.set(each.id, key);
    }
    return this.#definitionOf(id);
  }

  /** Op, the exact root that it works on, and the checksums of exactly the files that it reads. */
  async content(vertex: Vertex, inputs: readonly VertexResult[]): Promise<CacheKey> {
    const key = await this.#computeContent(vertex, inputs);
    this.#contents.set(vertex.id, key);
    if (vertex.inputs.some((id) => this.#outdated.has(id))) this.#outdated.add(vertex.id);
    return key;
  }

  /** The keys that were asked for so far. */
  async known(id: VertexId): Promise<{
    readonly definition: CacheKey | undefined;
    readonly content: CacheKey | undefined;
  }> {
    return { definition: await this.#definitions.get(id), content: this.#contents.get(id) };
  }

  /** Reads the files that belong to the definition, without asking for it. What is missing is told now. */
  async read(vertex: Vertex): Promise<void> {
    const { plan } = this.#options;
    for (const [index, id] of vertex.inputs.entries())
      if (isForeignTree(vertexOf(plan, id).op)) await this.#readOnce(vertex, { index, id });
  }

  /** Whether the files that a copy reads were looked at: those of a tree from outside are, for its definition. */
  hasRead({ id, inputs }: Vertex): boolean {
    const { plan } = this.#options;
    const isForeign = inputs.some((input) => isForeignTree(vertexOf(plan, input).op));
    return isForeign && this.#definitions.has(id);
  }

  /** What a copy of which nothing was looked at has read of its one source. */
  takeCounted({ id, op }: Vertex, files: FileFields): void {
    const [source] = op.type === "copy" ? op.sources : [];
    if (source?.type !== "path") throw coreError("INTERNAL", "count what is no copy of a path");
    this.#reads.set(readName(id, source.input), { fields: [files], readAt: Infinity });
  }

  /** Whether the files that a step read are others than its definition tells: then nothing may be remembered under that. */
  isOutdated(id: VertexId): boolean {
    return this.#outdated.has(id);
  }

  /** Waits for what is under way, whatever comes of it. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#definitions.values());
  }

  #definitionOf(id: VertexId): Promise<CacheKey> {
    const key = this.#definitions.get(id);
    if (key === undefined)
      throw coreError("INTERNAL", `define ${vertexOf(this.#options.plan, id).name}`);
    return key;
  }

  /** A tree that has no definition of its own (a context, a URL) enters by its files. */
  async #computeDefinition(vertex: Vertex): Promise<CacheKey> {
    const { op } = vertex;
    const { plan, environment } = this.#options;
    const fields: KeyPart[] =
      op.type === "git"
        ? [await gitFields(op, environment)]
        : [opFields(op, environment.implicitTime)];
    for (const [index, id] of vertex.inputs.entries()) {
      if (isForeignTree(vertexOf(plan, id).op)) {
        const read = await this.#readOnce(vertex, { index, id });
        fields.push(...read.fields);
      } else {
        const { digest } = await this.#definitionOf(id);
        fields.push([{ name: index === 0 ? "parent" : `from.${String(index)}`, value: digest }]);
      }
    }
    return makeKey("definition", fields);
  }

  async #readOnce(
    { id, op }: Vertex,
    input: { readonly index: number; readonly id: VertexId },
  ): Promise<FilesRead> {
    const { index } = input;
    const name = readName(id, index);
    const result = await this.#options.openTree(input.id);
    const read = this.#reads.get(name) ?? (await this.#readFields(op, { index, result }));
    this.#reads.set(name, read);
    return read;
  }

  async #computeContent(vertex: Vertex, inputs: readonly VertexResult[]): Promise<CacheKey> {
    const { op } = vertex;
    const fields: KeyPart[] = [opFields(op, this.#options.environment.implicitTime)];
    for (const [index, input] of inputs.entries()) {
      if (index === 0 && input.type === "layers") {
        fields.push([{ name: "base", value: input.chainId ?? "scratch" }]);
      } else if (op.type === "merge" && input.type === "layers") {
        fields.push([{ name: "layers", value: input.diffIds }]);
      } else {
        const read = await this.#contentFields(vertex, { index, result: input });
        // The definition names these files too, and one list of 20,000 is enough on the disk.
        fields.push(...(input.type === "tree" ? read.map(({ all }) => [all]) : read));
      }
    }
    return makeKey("content", fields);
  }

  /**
   * Files that were looked at this moment are not looked at again: a change since then is found when they are copied.
   * Minutes later, when the layers below had to be made first, the files as they are now count; then the definition is
   * that of another build.
   */
  async #contentFields(
    vertex: Vertex,
    input: { readonly index: number; readonly result: VertexResult },
  ): Promise<readonly FileFields[]> {
    const before = this.#reads.get(readName(vertex.id, input.index));
    if (before !== undefined && monotonicMs() - before.readAt < momentMs) return before.fields;
    const { fields } = await this.#readFields(vertex.op, input);
    if (before !== undefined && !isSameRead(fields, before.fields)) this.#outdated.add(vertex.id);
    return fields;
  }

  /** One after the other: steps often read the same files, and the second finds their digests remembered. */
  async #readFields(
    op: Op,
    input: { readonly index: number; readonly result: VertexResult },
  ): Promise<FilesRead> {
    const { environment } = this.#options;
    // A base that has to be fetched first keeps nobody else from reading.
    await treeOf(input.result, environment);
    const fields = await this.#reading(() => readFieldsOf({ op, ...input, environment }));
    return { fields, readAt: monotonicMs() };
  }
}

function readName(id: VertexId, index: number): string {
  return `${String(id)} ${String(index)}`;
}
