// The c1.connector.v2 services of a connector that reads. Those that are not here
// (provisioning, tickets, events, …) answer UNIMPLEMENTED, as gRPC does by itself.
import { status, type Server } from '@grpc/grpc-js';

import type { ConnectorServiceHandlers } from '../gen/c1/connector/v2/ConnectorService.js';
import type { EntitlementsServiceHandlers } from '../gen/c1/connector/v2/EntitlementsService.js';
import type { GrantsServiceHandlers } from '../gen/c1/connector/v2/GrantsService.js';
import type { Resource__Output } from '../gen/c1/connector/v2/Resource.js';
import type { ResourceId__Output } from '../gen/c1/connector/v2/ResourceId.js';
import type { ResourcesServiceHandlers } from '../gen/c1/connector/v2/ResourcesService.js';
import type { ResourceTypesServiceHandlers } from '../gen/c1/connector/v2/ResourceTypesService.js';
import { unary, type Context } from './calls.js';
import type { Connector, Listed, Page } from './connector.js';
import { CallError } from './errors.js';
import type { Gate } from './gate.js';
import { services } from './protocol.js';

export function addConnectorServices(server: Server, gate: Gate): void {
  // served is a call of the connector, behind the gate.
  const served = <Request, Response>(
    answer: (connector: Connector, request: Request, context: Context) => Promise<Response>,
  ) =>
    unary<Request, Response>((request, context) =>
      gate.pass((connector) => answer(connector, request, context)),
    );

  const connector: ConnectorServiceHandlers = {
    GetMetadata: served(async (connector) => ({ metadata: connector.metadata() })),
    Validate: served(async (connector, _request, { signal }) => {
      await connector.validate(signal);
      return {};
    }),
    Cleanup: served(async () => ({})),
  };
  const resourceTypes: ResourceTypesServiceHandlers = {
    ListResourceTypes: served(async (connector) => ({ list: connector.resourceTypes() })),
  };
  const resources: ResourcesServiceHandlers = {
    ListResources: served(async (connector, request, { signal }) => {
      const { resource_type_id: typeId } = request;
      return response(await connector.listResources(typeId, pageOf(request), signal));
    }),
  };
  const entitlements: EntitlementsServiceHandlers = {
    ListEntitlements: served(async (connector, request, { signal }) =>
      response(await connector.listEntitlements(idOf(request), pageOf(request), signal)),
    ),
    // Entitlements that all resources of a type share: none.
    ListStaticEntitlements: served(async () => ({})),
  };
  const grants: GrantsServiceHandlers = {
    ListGrants: served(async (connector, request, { signal }) =>
      response(await connector.listGrants(idOf(request), pageOf(request), signal)),
    ),
  };

  server.addService(services.connector, connector);
  server.addService(services.resourceTypes, resourceTypes);
  server.addService(services.resources, resources);
  server.addService(services.entitlements, entitlements);
  server.addService(services.grants, grants);
}

function pageOf(request: { page_token: string; page_size: number }): Page {
  return { token: request.page_token, size: request.page_size };
}

function response<Row>({ rows, next }: Listed<Row>) {
  return { list: rows, next_page_token: next };
}

function idOf(request: { resource: Resource__Output | null }): ResourceId__Output {
  if (!request.resource?.id) {
    throw new CallError(status.INVALID_ARGUMENT, 'the request names no resource');
  }
  return request.resource.id;
}
