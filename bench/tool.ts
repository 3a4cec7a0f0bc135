/** What every tool is asked to do. Names of images are complete references. */
export interface Tool extends AsyncDisposable {
  readonly name: string;
  readonly version: string;
  build(context: string, image: string, options: { readonly cache: boolean }): Command;
  push(image: string): Command;
  /**
   * Pulls into a store that has nothing yet, and runs /bin/true from there: some unpack while they pull, others when
   * the image is first used. Undefined when the tool has no such command.
   */
  pullAndRun(image: string): Promise<readonly Command[] | undefined>;
  /** Runs /bin/true in a container without network; undefined when the tool has no such command. */
  runTrue(image: string): Command | undefined;
}

export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
