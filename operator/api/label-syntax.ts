/** `[prefix/]name`; the name has at most 63 characters. */
const PREFIX = /([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?/;
const NAME = /[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?/;
const LABEL_KEY = new RegExp(`^${PREFIX.source}${NAME.source}$`);
const LABEL_VALUE = new RegExp(`^(${NAME.source})?$`);

/** Whether Kubernetes takes `text` for a label's key. */
export function isLabelKey(text: string): boolean {
  return text.length <= 317 && LABEL_KEY.test(text);
}

/** Whether Kubernetes takes `text` for a label's value; it may be empty. */
export function isLabelValue(text: string): boolean {
  return LABEL_VALUE.test(text);
}
