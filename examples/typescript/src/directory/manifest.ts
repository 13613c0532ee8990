// What the directory connector is and which configuration it takes.
import type { Manifest } from '../gen/baton/plugin/v1/Manifest.js';

export const manifest: Manifest = {
  name: 'baton-directory',
  display_name: 'Directory',
  version: 'v1.0.0',
  capabilities: {
    connector: ['CAPABILITY_SYNC'],
    resource_types: [
      { resource_type_id: 'group', display_name: 'Group', capabilities: ['CAPABILITY_SYNC'] },
      {
        resource_type_id: 'user',
        display_name: 'User',
        capabilities: ['CAPABILITY_SYNC'],
        accounts: true,
      },
    ],
  },
  configuration: {
    fields: [
      {
        name: 'base-url',
        label: 'Base URL',
        help: 'Where the API of the directory is.',
        type: 'FIELD_TYPE_STRING',
        required: true,
        placeholder: 'https://directory.example.com/api',
        rules: { format: 'STRING_FORMAT_URI' },
      },
      {
        name: 'token',
        label: 'API token',
        help: 'A token that may read users and groups.',
        type: 'FIELD_TYPE_STRING',
        required: true,
        secret: true,
        rules: { min_length: 8 },
      },
      {
        name: 'page-size',
        label: 'Page size',
        help: 'How many users, groups or members to ask for at a time.',
        type: 'FIELD_TYPE_INT',
        default_value: { int_value: 200 },
        rules: { minimum: 1, maximum: 1000 },
      },
    ],
  },
};
