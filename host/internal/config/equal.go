package config

import (
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// IsSame reports whether two entries are the same, field by field, as they are written:
// whatever the references of their settings resolve to. A reference to a store is another
// one where the stores of the file have changed.
func (p *Plugin) IsSame(other *Plugin) bool {
	one, two := reflect.ValueOf(*p), reflect.ValueOf(*other)
	for i := range one.NumField() {
		if !equalField(one.Field(i).Interface(), two.Field(i).Interface()) {
			return false
		}
	}
	return true
}

func equalField(one, other any) bool {
	switch one := one.(type) {
	case *settings.Settings:
		other, _ := other.(*settings.Settings)
		return one == other || one != nil && other != nil && one.Equal(other)
	case []*pluginv1.Field:
		other, _ := other.([]*pluginv1.Field)
		return slices.EqualFunc(one, other, func(one, other *pluginv1.Field) bool { return proto.Equal(one, other) })
	}
	return reflect.DeepEqual(one, other)
}

// IsSame reports whether two uploads are the same as they are written, have the same
// client id where both are resolved, and name the same plugins, whatever the entries of these
// are and whatever else their credentials resolve to.
func (u *Upload) IsSame(other *Upload) bool {
	one, two := *u, *other
	sameClient := one.ClientID == two.ClientID || one.ClientID == "" || two.ClientID == ""
	sameCredentials := sameClient && one.credentials.equal(two.credentials)
	samePlugins := slices.EqualFunc(one.Plugins, two.Plugins, func(one, other *Plugin) bool { return one.Name == other.Name })
	for _, upload := range []*Upload{&one, &two} {
		upload.ClientID, upload.ClientSecret, upload.Resolved, upload.credentials, upload.Plugins = "", zero.ClientSecret, nil, credentials{}, nil
	}
	return sameCredentials && samePlugins && reflect.DeepEqual(one, two)
}

// zero is an upload that has nothing.
var zero Upload

func (c credentials) equal(other credentials) bool {
	return c.id.equal(other.id) && c.secret.equal(other.secret) && (c.stores == other.stores || !c.id.template.NeedsStore() && !c.secret.template.NeedsStore())
}

func (t placedText) equal(other placedText) bool {
	return t.given == other.given && t.template.Equal(other.template)
}
