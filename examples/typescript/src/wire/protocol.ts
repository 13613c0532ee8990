// The messages and services of the wire, loaded from proto/.
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';

import type { PluginServiceDefinition } from '../gen/baton/plugin/v1/PluginService.js';
import type { ConnectorServiceDefinition } from '../gen/c1/connector/v2/ConnectorService.js';
import type { EntitlementsServiceDefinition } from '../gen/c1/connector/v2/EntitlementsService.js';
import type { GrantsServiceDefinition } from '../gen/c1/connector/v2/GrantsService.js';
import type { ResourcesServiceDefinition } from '../gen/c1/connector/v2/ResourcesService.js';
import type { ResourceTypesServiceDefinition } from '../gen/c1/connector/v2/ResourceTypesService.js';
import type { Status, Status__Output } from '../gen/google/rpc/Status.js';
import type { GRPCControllerDefinition } from '../gen/plugin/GRPCController.js';

export const protocolVersion = 1;

// No message, in either direction, is larger.
export const maxMessageBytes = 32 * 1024 * 1024;

// These options and those of the script "types" in package.json belong together.
const definitions = loadSync(
  [
    'baton/plugin/v1/plugin.proto',
    'c1/connector/v2/annotation_ratelimit.proto',
    'c1/connector/v2/annotation_resource_tree.proto',
    'c1/connector/v2/annotation_trait.proto',
    'c1/connector/v2/connector.proto',
    'c1/connector/v2/grant.proto',
    'google/rpc/status.proto',
    'plugin/grpc_controller.proto',
  ],
  {
    includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  },
) as unknown as {
  'baton.plugin.v1.PluginService': PluginServiceDefinition;
  'c1.connector.v2.ConnectorService': ConnectorServiceDefinition;
  'c1.connector.v2.EntitlementsService': EntitlementsServiceDefinition;
  'c1.connector.v2.GrantsService': GrantsServiceDefinition;
  'c1.connector.v2.ResourceTypesService': ResourceTypesServiceDefinition;
  'c1.connector.v2.ResourcesService': ResourcesServiceDefinition;
  'google.rpc.Status': MessageTypeDefinition<Status, Status__Output>;
  'plugin.GRPCController': GRPCControllerDefinition;
};

export const services = {
  controller: definitions['plugin.GRPCController'],
  plugin: definitions['baton.plugin.v1.PluginService'],
  connector: definitions['c1.connector.v2.ConnectorService'],
  resourceTypes: definitions['c1.connector.v2.ResourceTypesService'],
  resources: definitions['c1.connector.v2.ResourcesService'],
  entitlements: definitions['c1.connector.v2.EntitlementsService'],
  grants: definitions['c1.connector.v2.GrantsService'],
};

export const rpcStatus = definitions['google.rpc.Status'];
