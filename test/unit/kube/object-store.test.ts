import assert from "node:assert/strict";
import { ObjectStore, type RawObject } from "../../../operator/kube/object-store.ts";

interface Sample extends RawObject {
  readonly value: string;
}

function sample(name: string, version: string, value: string, uid = `uid-${name}`): Sample {
  return { metadata: { namespace: "ns", name, uid, resourceVersion: version }, value };
}

/** A store of the values; the value `bad` cannot be parsed. */
function sampleStore(): { readonly store: ObjectStore<string>; readonly errors: string[]; readonly parsed: string[] } {
  const errors: string[] = [];
  const parsed: string[] = [];
  const parse = (raw: unknown): string => {
    assert.ok(typeof raw === "object" && raw !== null && "value" in raw && typeof raw.value === "string");
    parsed.push(raw.value);
    if (raw.value === "bad") throw new TypeError("spec.x: a number is needed");
    return raw.value;
  };
  const onError = (error: unknown): void => void errors.push(error instanceof Error ? error.message : String(error));
  return { store: new ObjectStore(parse, onError), errors, parsed };
}

/** What the list changes, written short. */
function list(store: ObjectStore<string>, ...items: readonly Sample[]): readonly string[] {
  const next = store.startList();
  for (const item of items) next.add(item);
  return next.commit("20").map(short);
}

type SampleChange = ReturnType<ObjectStore<string>["put"]>[number];

function short(change: SampleChange): string {
  const { type, key, previous } = change;
  return type === "delete" ? `${key}: ${previous} -> gone` : `${key}: ${previous ?? "none"} -> ${change.object}`;
}

describe("object store: single objects", () => {
  it("tells a new one, a changed one and a deleted one with what was there before", () => {
    const { store } = sampleStore();
    assert.deepEqual(store.put(sample("a", "1", "one")).map(short), ["ns/a: none -> one"]);
    assert.deepEqual(store.put(sample("a", "2", "two")).map(short), ["ns/a: one -> two"]);
    assert.deepEqual(store.remove(sample("a", "3", "two")).map(short), ["ns/a: two -> gone"]);
    assert.equal(store.all.size, 0);
  });

  it("keys cluster-scoped objects by name alone", () => {
    const { store } = sampleStore();
    const node: Sample = { metadata: { name: "node-1", uid: "u", resourceVersion: "1" }, value: "one" };
    store.put(node);
    assert.deepEqual([...store.all], [["node-1", "one"]]);
  });

  it("says nothing of a version it has, nor of the deletion of what it has not", () => {
    const { store, parsed } = sampleStore();
    store.put(sample("a", "1", "one"));
    assert.deepEqual(store.put(sample("a", "1", "one")), []);
    assert.deepEqual(store.remove(sample("b", "1", "one")), []);
    assert.deepEqual(parsed, ["one"]);
  });

  it("shows the end of an object whose name another one has taken", () => {
    const { store } = sampleStore();
    store.put(sample("a", "1", "one", "uid-1"));
    const changes = store.put(sample("a", "5", "two", "uid-2"));
    assert.deepEqual(changes.map(short), ["ns/a: one -> gone", "ns/a: none -> two"]);
  });

  it("takes out an object that became unreadable, reports each of its versions once, and takes it in again", () => {
    const { store, errors } = sampleStore();
    store.put(sample("a", "1", "one"));
    assert.deepEqual(store.put(sample("a", "2", "bad")).map(short), ["ns/a: one -> gone"]);
    store.put(sample("a", "2", "bad"));
    assert.deepEqual(errors, ["ns/a is left out: spec.x: a number is needed"]);
    store.put(sample("a", "3", "bad"));
    assert.equal(errors.length, 2);
    assert.deepEqual(store.put(sample("a", "4", "four")).map(short), ["ns/a: none -> four"]);
    assert.deepEqual(store.remove(sample("a", "5", "bad")).map(short), ["ns/a: four -> gone"]);
  });
});

describe("object store: lists", () => {
  it("gives the difference, what is gone first", () => {
    const { store } = sampleStore();
    list(store, sample("a", "1", "one"), sample("b", "1", "two"), sample("c", "1", "three"));
    assert.deepEqual(list(store, sample("d", "2", "four"), sample("c", "2", "3"), sample("a", "1", "one")), [
      "ns/b: two -> gone", "ns/d: none -> four", "ns/c: three -> 3",
    ]);
    assert.deepEqual([...store.all.keys()].sort(), ["ns/a", "ns/c", "ns/d"]);
  });

  it("shows the end of an object that was deleted and made again in between", () => {
    const { store } = sampleStore();
    list(store, sample("a", "1", "one", "uid-1"));
    assert.deepEqual(list(store, sample("a", "9", "one", "uid-2")), ["ns/a: one -> gone", "ns/a: none -> one"]);
  });

  it("parses each item as it comes, and what it has already not at all", () => {
    const { store, parsed } = sampleStore();
    list(store, sample("a", "1", "one"));
    const next = store.startList();
    next.add(sample("a", "1", "one"));
    next.add(sample("b", "1", "two"));
    assert.deepEqual(parsed, ["one", "two"]);
    next.commit("20");
    assert.deepEqual(parsed, ["one", "two"]);
  });

  it("changes nothing before the list is complete, and nothing at all if it never is", () => {
    const { store, errors } = sampleStore();
    list(store, sample("a", "1", "one"));
    const broken = store.startList();
    broken.add(sample("b", "1", "two"));
    broken.add(sample("c", "1", "bad"));
    assert.deepEqual([...store.all], [["ns/a", "one"]]);
    assert.deepEqual(list(store, sample("a", "1", "one"), sample("c", "1", "bad")), []);
    assert.equal(errors.length, 1);
  });

  it("reports an unreadable item in the first list only, and forgets it with its end", () => {
    const { store, errors } = sampleStore();
    const items = [sample("a", "1", "bad"), sample("b", "1", "two")];
    assert.deepEqual(list(store, ...items), ["ns/b: none -> two"]);
    assert.deepEqual(list(store, ...items), []);
    assert.equal(errors.length, 1);
    assert.deepEqual(list(store), ["ns/b: two -> gone"]);
    list(store, ...items);
    assert.equal(errors.length, 2);
  });

  it("knows the newest version it was told, by number, deletes included", () => {
    const { store } = sampleStore();
    list(store, sample("a", "9", "one"), sample("b", "8", "two"));
    assert.equal(store.newestVersion, "9");
    store.put(sample("b", "10", "three"));
    assert.equal(store.newestVersion, "10");
    store.remove(sample("a", "12", "one"));
    assert.equal(store.newestVersion, "12");
    list(store, sample("b", "10", "three"));
    assert.equal(store.newestVersion, "12");
  });

  it("does not count what a list says before the list is complete", () => {
    const { store } = sampleStore();
    const next = store.startList();
    next.add(sample("a", "9", "one"));
    assert.equal(store.newestVersion, "0");
    next.commit("20");
    assert.equal(store.newestVersion, "9");
  });

  it("counts a delete that only a list shows by the version of the list", () => {
    const { store } = sampleStore();
    list(store, sample("a", "9", "one"), sample("b", "8", "two"));
    list(store, sample("a", "9", "one"));
    assert.equal(store.newestVersion, "20");
  });
});
