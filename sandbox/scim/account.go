package scim

import (
	"slices"
	"time"
)

// Account is one person's account in the app. An attribute that is empty here
// is absent on the wire.
type Account struct {
	ID          string `json:"id"`
	UserName    string `json:"user_name"`
	DisplayName string `json:"display_name,omitempty"`
	GivenName   string `json:"given_name,omitempty"`
	FamilyName  string `json:"family_name,omitempty"`
	// Emails begins with the primary address. On the wire the primary one is
	// the last and carries the flag: its place means nothing there.
	Emails []string `json:"emails,omitempty"`
	// Active is whether the account can be used. It is true also where
	// OmitActive keeps the service from sending that.
	Active bool `json:"active"`
	// OmitActive leaves the attribute active out of the resource.
	OmitActive bool `json:"omit_active,omitempty"`
	// Roles begins with the primary role.
	Roles []string `json:"roles,omitempty"`
	Title string   `json:"title,omitempty"`
	// Department and EmployeeNumber belong to the enterprise extension
	// (RFC 7643 section 4.3).
	Department     string `json:"department,omitempty"`
	EmployeeNumber string `json:"employee_number,omitempty"`
	// ExternalID is what the identity provider calls the person.
	ExternalID string `json:"external_id,omitempty"`
	// Created and LastModified are cut to seconds on the wire.
	Created      time.Time `json:"created,omitzero"`
	LastModified time.Time `json:"last_modified,omitzero"`
}

func (a Account) id() string { return a.ID }

// clone shares nothing with the original.
func (a Account) clone() Account {
	a.Emails = slices.Clone(a.Emails)
	a.Roles = slices.Clone(a.Roles)
	return a
}
