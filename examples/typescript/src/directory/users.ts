// Users of the directory as accounts.
import type { Resource } from '../gen/c1/connector/v2/Resource.js';
import type { ResourceType } from '../gen/c1/connector/v2/ResourceType.js';
import type { UserTrait } from '../gen/c1/connector/v2/UserTrait.js';
import type { User } from './client.js';

export const userType: ResourceType = {
  id: 'user',
  display_name: 'User',
  traits: ['TRAIT_USER'],
  // Nothing is granted on a user: spares two calls for each.
  annotations: [{ '@type': 'type.googleapis.com/c1.connector.v2.SkipEntitlementsAndGrants' }],
};

export function userResource(user: User): Resource {
  const trait: UserTrait = {
    login: user.login,
    emails: user.email ? [{ address: user.email, is_primary: true }] : [],
    account_type: 'ACCOUNT_TYPE_HUMAN',
    last_login: timestamp(user.last_login),
    status: { status: user.active ? 'STATUS_ENABLED' : 'STATUS_DISABLED' },
  };
  return {
    id: { resource_type: 'user', resource: user.id },
    display_name: user.name,
    annotations: [{ '@type': 'type.googleapis.com/c1.connector.v2.UserTrait', ...trait }],
  };
}

// timestamp is null where the directory says nothing that can be read.
function timestamp(text: string | undefined): UserTrait['last_login'] {
  const at = Date.parse(text ?? '');
  if (Number.isNaN(at)) return null;
  const seconds = Math.floor(at / 1000);
  return { seconds, nanos: (at - seconds * 1000) * 1e6 };
}
