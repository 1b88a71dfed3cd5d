import { parseAllDocuments } from "yaml";

import { Reader } from "../../../operator/api/reader.ts";
import { textOf } from "./kustomization.ts";

/** The objects of a file, from the project's root, whose kinds our API server need not know. @throws YAMLParseError */
export function objectsIn(file: string): readonly Reader[] {
  return parseAllDocuments(textOf(file)).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return new Reader(document.toJS());
  });
}

/** `<apiVersion> <kind>` */
export function kindOf(object: Reader): string {
  return `${object.at("apiVersion").text()} ${object.at("kind").text()}`;
}

export function nameOf(object: Reader): string {
  return object.at("metadata").at("name").text();
}
