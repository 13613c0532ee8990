// Package config is the configuration of the connector baton-scim: its schema, and the struct
// generated from it.
//
// Connectors of particular apps build their schemas from its fields, so that a field is called
// the same everywhere. It must never read configuration: the SDK's command line and the host
// do.
//
// It is a separate package because the SDK's generator writes the struct into a package of
// this name. baton_capabilities.json and config_schema.json in the directory above are what C1
// shows of the program; both are generated from here because they follow from the struct.
package config

import "github.com/conductorone/baton-sdk/pkg/field"

//go:generate go run ./gen
//go:generate gofmt -w conf.gen.go
//go:generate sh -c "go run ../cmd/baton-scim capabilities > ../baton_capabilities.json"
//go:generate sh -c "go run ../cmd/baton-scim config > ../config_schema.json"

// BaseURL is the field of the SCIM base URL (--scim-base-url,
// BATON_SCIM_BASE_URL). help explains where to find it.
func BaseURL(help, placeholder string) field.SchemaField {
	return field.StringField("scim-base-url",
		field.WithDisplayName("SCIM Base URL"),
		field.WithDescription(help),
		field.WithPlaceholder(placeholder),
		field.WithRequired(true),
	)
}

// Token is the field of the bearer token (--scim-token, BATON_SCIM_TOKEN). help
// explains where to find it.
func Token(help string) field.SchemaField {
	return tokenField(help, true)
}

func tokenField(help string, required bool) field.SchemaField {
	return field.StringField("scim-token",
		field.WithDisplayName("SCIM Token"),
		field.WithDescription(help),
		field.WithPlaceholder("Paste the token"),
		field.WithIsSecret(true),
		field.WithRequired(required),
	)
}

// ReadAhead is the field of how many pages may be in flight at a time
// (--scim-read-ahead, BATON_SCIM_READ_AHEAD). C1's own form does not show it.
func ReadAhead() field.SchemaField {
	return field.IntField("scim-read-ahead",
		field.WithDisplayName("Pages Read Ahead"),
		field.WithDescription("How many pages of a list may be asked for at a time, 1 to 32. A sync begins with 4 and asks for more as long as the app answers as fast. 1 reads one page after the other."),
		field.WithDefaultValue(16),
		field.WithInt(func(r *field.IntRuler) { r.Gte(1).Lte(32) }),
		field.WithExportTarget(field.ExportTargetCLIOnly),
	)
}

// HiddenUsers is the field of how many users the app may count and not list
// (--scim-hidden-users, BATON_SCIM_HIDDEN_USERS).
func HiddenUsers() field.SchemaField {
	return field.IntField("scim-hidden-users",
		field.WithDisplayName("SCIM Hidden Users"),
		field.WithDescription("How many users the app may count in its total and never list. A list that lacks no more of them is accepted, with a warning and as unproven; one that lacks more fails. It is for users only."),
		field.WithPlaceholder("0"),
		field.WithDefaultValue(0),
		field.WithInt(func(r *field.IntRuler) { r.Gte(0) }),
	)
}

var (
	displayName = field.StringField("scim-display-name",
		field.WithDisplayName("App Name"),
		field.WithDescription("The app's name, as it is to be shown."),
		field.WithPlaceholder("Design Tool"),
		field.WithDefaultValue("SCIM"),
	)
	token    = tokenField("The bearer token that the app generates for SCIM. Leave it empty if the app asks for a user name and a password, or issues tokens to a client.", false)
	username = field.StringField("scim-username",
		field.WithDisplayName("User Name"),
		field.WithDescription("The user name, if the app asks for a user name and a password instead of a token."),
		field.WithPlaceholder("scim-reader"),
	)
	password = field.StringField("scim-password",
		field.WithDisplayName("Password"),
		field.WithDescription("The password that belongs to the user name."),
		field.WithPlaceholder("Paste the password"),
		field.WithIsSecret(true),
	)
	clientID = field.StringField("scim-client-id",
		field.WithDisplayName("Client ID"),
		field.WithDescription("The OAuth 2.0 client, if the app issues tokens to a client (client credentials) instead of showing one."),
		field.WithPlaceholder("scim-reader"),
	)
	clientSecret = field.StringField("scim-client-secret",
		field.WithDisplayName("Client Secret"),
		field.WithDescription("The secret that belongs to the client."),
		field.WithPlaceholder("Paste the client secret"),
		field.WithIsSecret(true),
	)
	tokenURL = field.StringField("scim-token-url",
		field.WithDisplayName("Token URL"),
		field.WithDescription("The URL at which the app issues tokens to the client."),
		field.WithPlaceholder("https://app.example.com/oauth2/token"),
	)
	scopes = field.StringSliceField("scim-scopes",
		field.WithDisplayName("Scopes"),
		field.WithDescription("The scopes that the token must have, if the app wants them to be asked for."),
		field.WithPlaceholder("scim.read"),
	)
	// Not a map: the SDK's command line takes none from the environment.
	headers = field.StringSliceField("scim-headers",
		field.WithDisplayName("Extra Headers"),
		field.WithDescription("HTTP headers that the app wants with each request, besides the usual ones, each as Name: value."),
		field.WithPlaceholder("X-Api-Key: …"),
		field.WithIsSecret(true),
	)
	filter = field.StringField("scim-filter",
		field.WithDisplayName("User Filter"),
		field.WithDescription("A SCIM filter (RFC 7644 section 3.4.2.2) for the users to read. Without it all users are read."),
		field.WithPlaceholder(`userType eq "Employee"`),
	)
	groups = field.BoolField("scim-groups",
		field.WithDisplayName("Sync Groups"),
		field.WithDescription("Whether groups and their members are read too. Switch it off if the app has no groups over SCIM."),
		field.WithDefaultValue(true),
	)
	roles = field.BoolField("scim-roles",
		field.WithDisplayName("Sync Roles"),
		field.WithDescription("Whether the roles that users have (their attribute roles) are read as roles of their own, and who has them. The users are then read twice."),
		field.WithDefaultValue(false),
	)
	loginAttribute = field.StringField("scim-login-attribute",
		field.WithDisplayName("Login Attribute"),
		field.WithDescription("The SCIM attribute that people sign in with, if it is not userName."),
		field.WithPlaceholder("externalId"),
	)
	emailAttribute = field.StringField("scim-email-attribute",
		field.WithDisplayName("E-mail Attribute"),
		field.WithDescription("The SCIM attribute that holds the primary e-mail address, if it is not the one in emails that is marked so."),
		field.WithPlaceholder(`emails[type eq "home"].value`),
	)
	profileAttributes = field.StringSliceField("scim-profile-attributes",
		field.WithDisplayName("Profile Attributes"),
		field.WithDescription("Further SCIM attributes for the profile of an account, each as key=attribute or as the attribute alone."),
		field.WithPlaceholder("badge=urn:example:2.0:User:badgeNumber"),
	)
)

// Schema is the configuration of baton-scim.
var Schema = field.NewConfiguration(
	[]field.SchemaField{
		BaseURL("The URL below which the app serves SCIM 2.0, as the app shows it. It usually ends in /scim/v2.", "https://app.example.com/scim/v2"),
		token, username, password, clientID, clientSecret, tokenURL, scopes,
		displayName, groups, roles, filter,
		loginAttribute, emailAttribute, profileAttributes,
		headers, HiddenUsers(), ReadAhead(),
	},
	field.WithConstraints(
		field.FieldsAtLeastOneUsed(token, username, clientID),
		field.FieldsMutuallyExclusive(token, username, clientID),
		field.FieldsRequiredTogether(username, password),
		field.FieldsRequiredTogether(clientID, clientSecret, tokenURL),
		field.FieldsDependentOn([]field.SchemaField{scopes}, []field.SchemaField{clientID}),
	),
	field.WithConnectorDisplayName("SCIM"),
)
