package pagecheck

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/proto"
)

// maxMetadata is how many bytes a plugin may report of itself. C1 takes it from all
// plugins of an upload in one message of gRPC's usual 4 MiB.
const maxMetadata = 1 << 20

// FitMetadata takes out of what a plugin reports of itself what C1 refuses, and returns
// each flaw in a few words: one refused word would keep all plugins of the upload from
// C1. What cannot be done without is replaced: the display name by the plugin's name.
func FitMetadata(answer *v2.ConnectorServiceGetMetadataResponse, instance string) []string {
	metadata := answer.GetMetadata()
	if metadata == nil {
		return nil
	}
	var flaws []string
	unfit := func(what, why string) bool {
		if why != "" {
			flaws = append(flaws, what+" "+why)
		}
		return why != ""
	}
	if name := metadata.GetDisplayName(); name == "" || unfit("its display name", textFlaw(name, maxName)) {
		metadata.SetDisplayName(instance)
	}
	if unfit("its description", textFlaw(metadata.GetDescription(), maxTypeDescription)) {
		metadata.SetDescription("")
	}
	if unfit("its help URL", addressFlaw(metadata.GetHelpUrl())) {
		metadata.SetHelpUrl("")
	}
	if metadata.HasIcon() && unfit("the id of its icon", idFlaw(metadata.GetIcon().GetId())) {
		metadata.ClearIcon()
	}
	if metadata.HasLogo() && unfit("the id of its logo", idFlaw(metadata.GetLogo().GetId())) {
		metadata.ClearLogo()
	}
	if capabilities := metadata.GetCapabilities(); capabilities != nil {
		capabilities.SetResourceTypeCapabilities(slices.DeleteFunc(capabilities.GetResourceTypeCapabilities(), func(one *v2.ResourceTypeCapability) bool {
			return unfit("its resource type "+named(one.GetResourceType().GetId()), typeFlaw(one))
		}))
	}
	why := ""
	if size := proto.Size(metadata); size > maxMetadata {
		why = fmt.Sprintf("has %d bytes, of which %d are taken", size, maxMetadata)
	} else if err := metadata.Validate(); err != nil {
		why = fmt.Sprintf("is not valid (%s)", named(err.Error()))
	}
	if unfit("the whole", why) {
		answer.SetMetadata(v2.ConnectorMetadata_builder{DisplayName: metadata.GetDisplayName()}.Build())
	}
	return flaws
}

// typeFlaw returns why C1 does not take a resource type that a plugin says it can list.
func typeFlaw(of *v2.ResourceTypeCapability) string {
	row := of.GetResourceType()
	for _, words := range []string{
		idFlaw(row.GetId()), textFlaw(row.GetDisplayName(), maxName), textFlaw(row.GetDescription(), maxTypeDescription),
	} {
		if words != "" {
			return words
		}
	}
	if err := of.Validate(); err != nil {
		return fmt.Sprintf("is not valid (%s)", named(err.Error()))
	}
	return ""
}

// addressFlaw returns why C1 does not take an address of a page; "" if it does.
func addressFlaw(address string) string {
	if address == "" {
		return ""
	}
	if words := textFlaw(address, maxName); words != "" {
		return words
	}
	if found, err := url.Parse(address); err != nil || !found.IsAbs() || !strings.HasPrefix(address, "https://") {
		return "is no https:// URL"
	}
	return ""
}
