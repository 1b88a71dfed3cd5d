import { Reader } from "../api/reader.ts";
import type { ApiClient } from "../kube/client.ts";
import { collectionPath, TOKEN_REVIEWS } from "../kube/resource.ts";
import type { TokenReviewer } from "../stream/authenticator.ts";

/** Reviews tokens with the API server. @throws ApiError, Unreachable, and ReadError for an answer that is no review */
export function tokenReviewer(client: Pick<ApiClient, "request">): TokenReviewer {
  return async (token, audiences) => {
    const review = await client.request({
      method: "POST",
      path: collectionPath(TOKEN_REVIEWS),
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token, audiences } },
    });
    const status = new Reader(review).at("status");
    const texts = (list: Reader) => list.each((item) => item.text());
    const user = status.at("user").or((reader) => reader, new Reader({}));
    const extra = user.at("extra").or((reader) => reader, new Reader({}));
    return {
      authenticated: status.at("authenticated").or((reader) => reader.flag(), false),
      audiences: status.at("audiences").or(texts, []),
      username: user.at("username").or((reader) => reader.text(), ""),
      extra: Object.fromEntries(extra.keys().map((key) => [key, texts(extra.at(key))])),
    };
  };
}
