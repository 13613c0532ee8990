// Package config is the configuration of the connector baton-fullstory: its schema, and the
// struct generated from it.
//
// The connector and the SDK's generator use it; labels and placeholders are those of the user
// guide. It must never read configuration: the SDK's command line and the host do.
//
// It is a separate package because the SDK's generator writes the struct into a package of
// this name. baton_capabilities.json and config_schema.json in the directory above are what C1
// shows of the program; both are generated from here because they follow from the struct.
package config

import (
	"github.com/conductorone/baton-sdk/pkg/field"

	scimconfig "github.com/batonhost/baton-host/scim/config"
)

//go:generate go run ./gen
//go:generate gofmt -w conf.gen.go
//go:generate sh -c "go run ../cmd/baton-fullstory capabilities > ../baton_capabilities.json"
//go:generate sh -c "go run ../cmd/baton-fullstory config > ../config_schema.json"

// HelpURL is Fullstory's own guide to setting SCIM up.
const HelpURL = "https://help.fullstory.com/hc/en-us/articles/30544962047383-Configuring-SCIM-for-Automated-User-Provisioning-in-Fullstory"

// Schema is the configuration of baton-fullstory.
var Schema = field.NewConfiguration(
	[]field.SchemaField{
		scimconfig.BaseURL(
			"The SCIM base URL that Fullstory shows under Settings > Account Management > SSO.",
			"https://app.fullstory.com/scim/v2",
		),
		scimconfig.Token("The SCIM token that Fullstory generates under Settings > Account Management > SSO. It is shown only once."),
		scimconfig.ReadAhead(),
		// The form of the user guide has the first two fields only.
		scimconfig.HiddenUsers().ExportAs(field.ExportTargetOps),
	},
	field.WithConnectorDisplayName("Fullstory"),
	field.WithHelpUrl(HelpURL),
)
