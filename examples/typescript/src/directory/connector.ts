// The connector of the directory: users, and groups with their members.
import { status } from '@grpc/grpc-js';

import type { ConnectorMetadata } from '../gen/c1/connector/v2/ConnectorMetadata.js';
import type { Entitlement } from '../gen/c1/connector/v2/Entitlement.js';
import type { Grant } from '../gen/c1/connector/v2/Grant.js';
import type { Resource } from '../gen/c1/connector/v2/Resource.js';
import type { ResourceType } from '../gen/c1/connector/v2/ResourceType.js';
import type { Configuration } from '../wire/configuration.js';
import { ConfigurationError, finding } from '../wire/configuration.js';
import type { Connector, Listed, Page } from '../wire/connector.js';
import { CallError } from '../wire/errors.js';
import { Client } from './client.js';
import { groupResource, groupType, memberEntitlement, memberGrant } from './groups.js';
import { userResource, userType } from './users.js';

export function connect(configuration: Configuration): Connector {
  const baseUrl = new URL(configuration.string('base-url'));
  if (!['http:', 'https:'].includes(baseUrl.protocol) || baseUrl.username || baseUrl.password) {
    throw new ConfigurationError([
      finding('base-url', 'the value must begin with https:// (or http://) and hold no password'),
    ]);
  }
  const client = new Client(baseUrl.href, configuration.string('token'));
  return new DirectoryConnector(client, configuration.int('page-size'));
}

class DirectoryConnector implements Connector {
  constructor(
    private readonly client: Client,
    private readonly pageSize: number,
  ) {}

  metadata(): ConnectorMetadata {
    return {
      display_name: 'Directory',
      capabilities: {
        connector_capabilities: ['CAPABILITY_SYNC'],
        resource_type_capabilities: this.resourceTypes().map((type) => ({
          resource_type: type,
          capabilities: ['CAPABILITY_SYNC'],
        })),
      },
    };
  }

  resourceTypes(): ResourceType[] {
    return [groupType, userType];
  }

  async validate(signal: AbortSignal): Promise<void> {
    await this.client.users('', 1, signal);
  }

  listResources(typeId: string, page: Page, signal: AbortSignal): Promise<Listed<Resource>> {
    switch (typeId) {
      case userType.id:
        return this.list(
          page,
          (limit) => this.client.users(page.token, limit, signal),
          userResource,
        );
      case groupType.id:
        return this.list(
          page,
          (limit) => this.client.groups(page.token, limit, signal),
          groupResource,
        );
    }
    throw new CallError(status.INVALID_ARGUMENT, `there is no resource type "${typeId}"`);
  }

  async listEntitlements(of: {
    resource_type: string;
    resource: string;
  }): Promise<Listed<Entitlement>> {
    const rows = of.resource_type === groupType.id ? [memberEntitlement(of.resource)] : [];
    return { rows, next: '' };
  }

  async listGrants(
    on: { resource_type: string; resource: string },
    page: Page,
    signal: AbortSignal,
  ): Promise<Listed<Grant>> {
    if (on.resource_type !== groupType.id) return { rows: [], next: '' };
    return this.list(
      page,
      (limit) => this.client.members(on.resource, page.token, limit, signal),
      (member) => memberGrant(on.resource, member),
    );
  }

  // list is one page of a list of the API. The API's cursor is the page token: it
  // is all that another process needs to go on.
  private async list<Item, Row>(
    page: Page,
    ask: (limit: number) => Promise<{ items: Item[]; next?: string }>,
    row: (item: Item) => Row,
  ): Promise<Listed<Row>> {
    const { items, next } = await ask(page.size || this.pageSize);
    return { rows: items.map(row), next: next ?? '' };
  }
}
