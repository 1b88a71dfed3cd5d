import { styleText } from "node:util";

/** What the demo prints: headings, the commands it runs, their output. Colour on a terminal, plain text elsewhere. */
export class Narrator {
  readonly #out: NodeJS.WriteStream;
  #step = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  /** The next part of the story. */
  heading(text: string): void {
    this.#step += 1;
    this.#line("");
    this.#line(this.#style(["bold", "cyan"], `${this.#step}. ${text}`));
  }

  say(text: string): void {
    this.#line(text);
  }

  /** A command as a reader would type it. */
  command(text: string): void {
    this.#line(this.#style(["bold"], `$ ${text}`));
  }

  output(text: string): void {
    for (const line of text.trimEnd().split("\n")) this.#line(`  ${line}`);
  }

  good(text: string): void {
    this.#line(`${this.#style(["green"], "✔")} ${text}`);
  }

  bad(text: string): void {
    this.#line(`${this.#style(["red", "bold"], "✘")} ${text}`);
  }

  /** `text` in the colour of what it says; unchanged where there are no colours. */
  paint(tone: "open" | "dropped" | "surprise", text: string): string {
    const styles = { open: "green", dropped: "dim", surprise: "red" } as const;
    return this.#style(styles[tone], text);
  }

  #line(text: string): void {
    this.#out.write(`${text}\n`);
  }

  #style(format: Parameters<typeof styleText>[0], text: string): string {
    // `stream` makes styleText ask the terminal itself, NO_COLOR and FORCE_COLOR included.
    return styleText(format, text, { stream: this.#out });
  }
}
