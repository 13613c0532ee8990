package scim_test

import (
	"fmt"
	"net/mail"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/raced"
	sandbox "github.com/batonhost/baton-host/sandbox/scim"
	"github.com/batonhost/baton-host/scim"
)

// TestSandbox reads the sandbox, which speaks through a SCIM server library in
// wide use, with several page caps and sizes around every boundary.
func TestSandbox(t *testing.T) {
	t.Parallel()
	for _, pageCap := range []int{1, 7, 30, 100, 1000} {
		for _, people := range []int{0, 1, pageCap - 1, pageCap, pageCap + 1, 2*pageCap - 1, 2 * pageCap, 99, 100, 101, 1000, 1101} {
			if people/pageCap > 200 {
				continue // thousands of requests show nothing more
			}
			t.Run(fmt.Sprintf("%d people in pages of %d", people, pageCap), func(t *testing.T) {
				raced.Sample(t, 5)
				t.Parallel()
				service, err := sandbox.New(sandbox.Options{Accounts: people, Seed: 7, Token: testToken, PageCap: pageCap})
				require.NoError(t, err)
				accounts, err := listAll(t, newConnector(t, start(t, service)+service.BasePath()))
				require.NoError(t, err)
				require.Len(t, accounts, people)
				for _, person := range service.Accounts() {
					requireAccount(t, person, accounts[person.ID])
				}
			})
		}
	}
}

// TestSandboxChanges removes a person between two batches, so that all behind
// move up by one place: who was there throughout is there.
func TestSandboxChanges(t *testing.T) {
	t.Parallel()
	service, err := sandbox.New(sandbox.Options{Accounts: 2500, Seed: 7, Token: testToken})
	require.NoError(t, err)
	connector := newConnector(t, start(t, service)+service.BasePath())

	first, token, err := listOnce(t.Context(), connector, "")
	require.NoError(t, err)
	require.NotEmpty(t, token)
	require.NoError(t, service.Remove(first[3].GetId().GetResource()))

	accounts := map[string]*v2.Resource{}
	for _, account := range first {
		accounts[account.GetId().GetResource()] = account
	}
	for token != "" {
		var list []*v2.Resource
		list, token, err = listOnce(t.Context(), connector, token)
		require.NoError(t, err)
		for _, account := range list {
			accounts[account.GetId().GetResource()] = account
		}
	}
	require.Len(t, accounts, 2500) // with the one that was deleted after it was read
	for _, person := range service.Accounts() {
		requireAccount(t, person, accounts[person.ID])
	}
}

// requireAccount compares an account with the person it stands for.
func requireAccount(t *testing.T, person sandbox.Account, account *v2.Resource) {
	t.Helper()
	require.NotNil(t, account, "%s is missing", person.ID)
	requireConsistent(t, account)

	status := map[bool]v2.Status_ResourceStatus{
		true:  v2.Status_RESOURCE_STATUS_ENABLED,
		false: v2.Status_RESOURCE_STATUS_DISABLED,
	}[person.Active]
	if person.OmitActive { // the service sends it for others
		status = v2.Status_RESOURCE_STATUS_UNSPECIFIED
	}
	hasStatus(status)(t, account)
	hasLogin(person.UserName)(t, account)

	emails := person.Emails
	if _, err := mail.ParseAddress(person.UserName); len(emails) == 0 && err == nil {
		emails = []string{person.UserName}
	}
	var addresses []string
	for _, email := range userTrait(t, account).GetEmails() {
		addresses = append(addresses, email.GetAddress())
	}
	require.ElementsMatch(t, emails, addresses)

	profile := account.GetProfile().AsMap()
	for key, value := range map[string]string{
		"scim_id":         person.ID,
		"user_name":       person.UserName,
		"display_name":    person.DisplayName,
		"first_name":      person.GivenName,
		"last_name":       person.FamilyName,
		"title":           person.Title,
		"department":      person.Department,
		"employee_number": person.EmployeeNumber,
		"external_id":     person.ExternalID,
		"roles":           strings.Join(person.Roles, ", "),
	} {
		if value == "" {
			require.NotContains(t, profile, key)
		} else {
			require.Equal(t, value, profile[key])
		}
	}
	if len(emails) > 0 {
		require.Equal(t, emails[0], profile["email"])
	}
	if !person.Created.IsZero() {
		require.Equal(t, person.Created.Unix(), account.GetCreatedAt().AsTime().Unix())
	}
	shown := person.DisplayName
	if shown == "" {
		shown = strings.TrimSpace(person.GivenName + " " + person.FamilyName)
	}
	if shown == "" {
		shown = person.UserName
	}
	require.Equal(t, shown, account.GetDisplayName())
}

// TestSandboxGroups reads groups and their members, whatever the sandbox sends about
// them, and compares them with what it was seeded with.
func TestSandboxGroups(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]sandbox.Options{
		"as they are":              {PageCap: 100},
		"small pages":              {PageCap: 3},
		"members are not in lists": {OmitListedMembers: true},
		"members have no types":    {OmitMemberTypes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options.Accounts, options.Groups, options.Seed, options.Token = 40, 12, 7, testToken
			service, err := sandbox.New(options)
			require.NoError(t, err)
			baseURL := start(t, service) + service.BasePath()
			listed := groupConnector(t, baseURL)
			groups, err := listGroups(t, listed)
			require.NoError(t, err)
			require.Len(t, groups, 12)
			// A process that has listed no groups finds out what a member is, too.
			for _, connector := range []types.ConnectorServer{listed, groupConnector(t, baseURL)} {
				for i, group := range service.Groups() {
					require.Equal(t, group.ID, groups[i].GetId().GetResource())
					require.Equal(t, group.DisplayName, groups[i].GetDisplayName())
					want := []string{}
					for _, member := range group.Members {
						want = append(want, map[string]string{sandbox.UserMember: "user/" + member.ID, sandbox.GroupMember: "group/" + member.ID + "+"}[member.Type])
					}
					got, err := listMembers(t, connector, group.ID)
					require.NoError(t, err)
					require.Equal(t, want, got)
				}
			}
		})
	}
}

// TestSandboxFilter: a filter that the sandbox judges limits what is read.
func TestSandboxFilter(t *testing.T) {
	t.Parallel()
	service, err := sandbox.New(sandbox.Options{Accounts: 120, Seed: 7, BasicUser: "ann", BasicPassword: "s3cret", PageCap: 7, RequireHeaders: map[string]string{"X-Tenant": "7"}})
	require.NoError(t, err)
	client, err := scim.NewClient(t.Context(), scim.Options{
		BaseURL: start(t, service) + service.BasePath(), Username: "ann", Password: "s3cret", Headers: map[string]string{"X-Tenant": "7"},
		Filter: "title pr", UserAgent: "baton-test/v1",
	})
	require.NoError(t, err)
	accounts, err := listAll(t, serveConnector(t, client))
	require.NoError(t, err)
	want := []string{}
	for _, person := range service.Accounts() {
		if person.Title != "" {
			want = append(want, person.ID)
		}
	}
	require.Greater(t, len(want), 20)
	requireIDs(t, want, accounts)
}
