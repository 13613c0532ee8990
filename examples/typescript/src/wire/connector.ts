// What the author of a plugin writes: an app that describes itself and, once it
// has a configuration, a connector that reads it.
import type { Manifest } from '../gen/baton/plugin/v1/Manifest.js';
import type { ConnectorMetadata } from '../gen/c1/connector/v2/ConnectorMetadata.js';
import type { Entitlement } from '../gen/c1/connector/v2/Entitlement.js';
import type { Grant } from '../gen/c1/connector/v2/Grant.js';
import type { Resource } from '../gen/c1/connector/v2/Resource.js';
import type { ResourceId__Output } from '../gen/c1/connector/v2/ResourceId.js';
import type { ResourceType } from '../gen/c1/connector/v2/ResourceType.js';
import type { Configuration } from './configuration.js';

export interface App {
  // The manifest is there before any configuration and never changes.
  manifest: Manifest;
  // connect makes the connector, without asking the app itself: that is for
  // validate. It may throw a ConfigurationError.
  connect(configuration: Configuration): Connector;
}

// Every call may be repeated, in another process too: nothing that is needed to
// go on may be kept in memory. A call that fails throws, best a CallError. An
// aborted signal says that nobody waits for the answer any more.
export interface Connector {
  metadata(): ConnectorMetadata;
  resourceTypes(): ResourceType[];
  // validate tries the credentials on the app.
  validate(signal: AbortSignal): Promise<void>;
  listResources(typeId: string, page: Page, signal: AbortSignal): Promise<Listed<Resource>>;
  listEntitlements(
    of: ResourceId__Output,
    page: Page,
    signal: AbortSignal,
  ): Promise<Listed<Entitlement>>;
  listGrants(on: ResourceId__Output, page: Page, signal: AbortSignal): Promise<Listed<Grant>>;
  close?(): Promise<void>;
}

// Page is which part of a listing is wanted.
export interface Page {
  // What an earlier page of this listing gave out as next; empty for the first.
  token: string;
  // How many rows are wanted; 0 leaves it to the connector.
  size: number;
}

export interface Listed<Row> {
  rows: Row[];
  // The token of the next page; empty after the last.
  next: string;
}
