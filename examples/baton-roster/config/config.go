// Package config is the configuration of baton-roster: its schema, and the struct generated
// from it.
//
// The connector and the SDK's generator use it, which writes the struct into a package of this
// name. It must never read configuration: the SDK's command line and the host do.
package config

import "github.com/conductorone/baton-sdk/pkg/field"

//go:generate go run ./gen
//go:generate gofmt -w conf.gen.go

// Schema is the configuration of baton-roster. Each field is a key under the
// plugin's config in baton-host.yaml, a flag (--base-url) and a variable
// (BATON_BASE_URL). After a change here: go generate ./...
var Schema = field.NewConfiguration(
	[]field.SchemaField{
		field.StringField("base-url",
			field.WithDisplayName("Base URL"),
			field.WithDescription("Where Roster answers, as it prints when it starts."),
			field.WithPlaceholder("https://roster.example.com"),
			field.WithRequired(true),
		),
		field.StringField("api-token",
			field.WithDisplayName("API Token"),
			field.WithDescription("The token that Roster takes."),
			field.WithPlaceholder("Paste the token"),
			field.WithIsSecret(true), // Never shown, never logged.
			field.WithRequired(true),
		),
	},
	field.WithConnectorDisplayName("Roster"),
)
