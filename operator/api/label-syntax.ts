/** `[prefix/]name`; the prefix has at most 253 characters, the name 63. */
const LONGEST_PREFIX = 253;
const LONGEST_KEY = LONGEST_PREFIX + 1 + 63;
const PREFIX = /([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?/;
const NAME = /[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?/;
const LABEL_KEY = new RegExp(`^${PREFIX.source}${NAME.source}$`);
const LABEL_VALUE = new RegExp(`^(${NAME.source})?$`);

/** Whether Kubernetes takes `text` for a label's key. */
export function isLabelKey(text: string): boolean {
  return text.length <= LONGEST_KEY && text.indexOf("/") <= LONGEST_PREFIX && LABEL_KEY.test(text);
}

/** Whether Kubernetes takes `text` for a label's value; it may be empty. */
export function isLabelValue(text: string): boolean {
  return LABEL_VALUE.test(text);
}
