package schema

import (
	"slices"
	"strings"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Capabilities is what a connector can do.
func Capabilities(capabilities *connectorv2.ConnectorCapabilities) *pluginv1.Capabilities {
	wire := &pluginv1.Capabilities{Connector: capabilityList(capabilities.GetConnectorCapabilities())}
	for _, of := range capabilities.GetResourceTypeCapabilities() {
		resourceType := of.GetResourceType()
		wire.ResourceTypes = append(wire.ResourceTypes, &pluginv1.ResourceTypeCapabilities{
			ResourceTypeId: resourceType.GetId(),
			DisplayName:    resourceType.GetDisplayName(),
			Capabilities:   capabilityList(of.GetCapabilities()),
			Accounts:       slices.Contains(resourceType.GetTraits(), connectorv2.ResourceType_TRAIT_USER),
		})
	}
	slices.SortFunc(wire.GetResourceTypes(), func(a, b *pluginv1.ResourceTypeCapabilities) int {
		return strings.Compare(a.GetResourceTypeId(), b.GetResourceTypeId())
	})
	return wire
}

// capabilityList translates by name, so that the two enums may number their
// values differently one day.
func capabilityList(list []connectorv2.Capability) []pluginv1.Capability {
	wire := make([]pluginv1.Capability, 0, len(list))
	for _, capability := range list {
		wire = append(wire, pluginv1.Capability(pluginv1.Capability_value[capability.String()]))
	}
	slices.Sort(wire)
	return wire
}
