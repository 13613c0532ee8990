// Groups of the directory, and who is in them.
import type { Entitlement } from '../gen/c1/connector/v2/Entitlement.js';
import type { Grant } from '../gen/c1/connector/v2/Grant.js';
import type { Resource } from '../gen/c1/connector/v2/Resource.js';
import type { ResourceType } from '../gen/c1/connector/v2/ResourceType.js';
import type { Group, Member } from './client.js';
import { userType } from './users.js';

export const groupType: ResourceType = {
  id: 'group',
  display_name: 'Group',
  traits: ['TRAIT_GROUP'],
};

export function groupResource(group: Group): Resource {
  return {
    id: { resource_type: 'group', resource: group.id },
    display_name: group.name,
    annotations: [{ '@type': 'type.googleapis.com/c1.connector.v2.GroupTrait' }],
  };
}

// Ids of entitlements and grants are unique in the whole connector and stay the
// same from sync to sync: they are made of the ids of what they are about.
export function memberEntitlement(groupId: string): Entitlement {
  return {
    id: `group:${groupId}:member`,
    resource: { id: { resource_type: 'group', resource: groupId } },
    display_name: 'Member',
    slug: 'member',
    purpose: 'PURPOSE_VALUE_ASSIGNMENT',
    grantable_to: [userType],
  };
}

export function memberGrant(groupId: string, member: Member): Grant {
  const entitlement = memberEntitlement(groupId);
  return {
    id: `${entitlement.id}:user:${member.user_id}`,
    entitlement,
    principal: { id: { resource_type: 'user', resource: member.user_id } },
  };
}
