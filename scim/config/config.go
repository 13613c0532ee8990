// Package config is the configuration of the connector baton-scim: its schema,
// and the struct made from it. It is a package of its own because the SDK's
// generator writes the struct into a package of this name.
//
// Connectors of particular apps build their schemas from its fields, so that a
// field is called the same everywhere. It must not read configuration: the
// SDK's command line and the host do.
//
// What the program says about itself, baton_capabilities.json and
// config_schema.json in the directory above, is what C1 shows; both are made
// from here because they follow from the struct.
package config

import "github.com/conductorone/baton-sdk/pkg/field"

//go:generate go run ./gen
//go:generate gofmt -w conf.gen.go
//go:generate sh -c "go run ../cmd/baton-scim capabilities > ../baton_capabilities.json"
//go:generate sh -c "go run ../cmd/baton-scim config > ../config_schema.json"

// BaseURL is the field of the SCIM base URL (--scim-base-url,
// BATON_SCIM_BASE_URL). help tells a person where to find it.
func BaseURL(help, placeholder string) field.SchemaField {
	return field.StringField("scim-base-url",
		field.WithDisplayName("SCIM Base URL"),
		field.WithDescription(help),
		field.WithPlaceholder(placeholder),
		field.WithRequired(true),
	)
}

// Token is the field of the bearer token (--scim-token, BATON_SCIM_TOKEN). help
// tells a person where to find it.
func Token(help string) field.SchemaField {
	return field.StringField("scim-token",
		field.WithDisplayName("SCIM Token"),
		field.WithDescription(help),
		field.WithPlaceholder("Paste the token"),
		field.WithIsSecret(true),
		field.WithRequired(true),
	)
}

var displayName = field.StringField("scim-display-name",
	field.WithDisplayName("App Name"),
	field.WithDescription("The app's name, as it is to be shown."),
	field.WithPlaceholder("Design Tool"),
	field.WithDefaultValue("SCIM"),
)

// Schema is the configuration of baton-scim.
var Schema = field.NewConfiguration(
	[]field.SchemaField{
		BaseURL("The URL below which the app serves SCIM 2.0, as the app shows it. It usually ends in /scim/v2.", "https://app.example.com/scim/v2"),
		Token("The bearer token that the app generates for SCIM."),
		displayName,
	},
	field.WithConnectorDisplayName("SCIM"),
)
