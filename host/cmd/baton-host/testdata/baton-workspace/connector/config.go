package connector

import (
	"github.com/conductorone/baton-sdk/pkg/field"
)

// Schema is what has to be configured.
var Schema = field.NewConfiguration(
	[]field.SchemaField{
		field.StringField("workspace-url", field.WithRequired(true), field.WithDisplayName("URL"), field.WithDescription("Where the workspace is."), field.WithPlaceholder("https://workspace.example.com")),
		field.StringField("workspace-token", field.WithRequired(true), field.WithIsSecret(true), field.WithDisplayName("Token"), field.WithDescription("A token of an administrator.")),
		field.IntField("page-size", field.WithDefaultValue(20), field.WithDisplayName("Page size"), field.WithDescription("How many users are asked for at a time.")),
		field.StringSliceField("skip-groups", field.WithDisplayName("Groups to skip"), field.WithDescription("Ids of groups that are left out.")),
		field.StringMapField("display-names", field.WithDisplayName("Display names"), field.WithDescription("Names to show in place of the workspace's own, by kind and name, such as group.Platform.")),
		field.BoolField("details", field.WithDisplayName("Details"), field.WithDescription("Whether the details of each user are read.")),
		field.BoolField("roles-by-grants", field.WithDisplayName("Roles by grants"), field.WithDescription("Whether roles are found by who has them, where they cannot be listed.")),
		field.IntField("kinds", field.WithDisplayName("Kinds"), field.WithDescription("How many kinds of things are read, each as a resource type.")),
		field.TicketingField.ExportAs(field.ExportTargetGUI),
	},
	field.WithConnectorDisplayName("Workspace"),
	field.WithHelpUrl("https://workspace.example.com/help"),
)

// Config is Schema, filled in.
type Config struct {
	URL           string         `mapstructure:"workspace-url"`
	Token         string         `mapstructure:"workspace-token"`
	PageSize      int            `mapstructure:"page-size"`
	SkipGroups    []string       `mapstructure:"skip-groups"`
	DisplayNames  map[string]any `mapstructure:"display-names"`
	Details       bool           `mapstructure:"details"`
	RolesByGrants bool           `mapstructure:"roles-by-grants"`
	Kinds         int            `mapstructure:"kinds"`
	Ticketing     bool           `mapstructure:"ticketing"`
}

// GetString is one of the methods by which the SDK validates a configuration.
func (c *Config) GetString(name string) string {
	switch name {
	case "workspace-url":
		return c.URL
	case "workspace-token":
		return c.Token
	}
	return ""
}

// GetBool is another.
func (c *Config) GetBool(name string) bool {
	switch name {
	case "details":
		return c.Details
	case "roles-by-grants":
		return c.RolesByGrants
	case "ticketing":
		return c.Ticketing
	}
	return false
}

// GetInt is another.
func (c *Config) GetInt(name string) int {
	switch name {
	case "page-size":
		return c.PageSize
	case "kinds":
		return c.Kinds
	}
	return 0
}

// GetStringSlice is another.
func (c *Config) GetStringSlice(name string) []string {
	if name == "skip-groups" {
		return c.SkipGroups
	}
	return nil
}

// GetStringMap is another.
func (c *Config) GetStringMap(name string) map[string]any {
	if name == "display-names" {
		return c.DisplayNames
	}
	return nil
}
