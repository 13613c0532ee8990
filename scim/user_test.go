package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
)

const enterprise = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`

// TestUser: what becomes of each form of each attribute (U: user).
func TestUser(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		user  string
		check func(t *testing.T, account *v2.Resource)
	}{
		"U1 id is a string":           {`{"id":"2819c223-7f76"}`, hasID("2819c223-7f76")},
		"U1 id is a number":           {`{"id":90071992547409931}`, hasID("90071992547409931")},
		"U1 id has odd characters":    {`{"id":"a/b:c.d é\u0001"}`, hasID("a/b:c.d é\u0001")},
		"U2 names in another case":    {`{"ID":"1","USERNAME":"ann","Active":false,"NAME":{"givenname":"Ann"},"Meta":{"ResourceType":"User","Created":"2025-03-25T16:17:00Z"}}`, all(hasLogin("ann"), hasStatus(disabled), hasProfile("first_name", "Ann"), hasCreated("2025-03-25T16:17:00Z"))},
		"U2 extension in other case":  {`{"id":"1","URN:IETF:PARAMS:SCIM:SCHEMAS:EXTENSION:ENTERPRISE:2.0:USER":{"Department":"Sales"}}`, hasProfile("department", "Sales")},
		"U3 active is true":           {`{"id":"1","active":true}`, hasStatus(enabled)},
		"U3 active is false":          {`{"id":"1","active":false}`, hasStatus(disabled)},
		"U3 active is absent":         {`{"id":"1"}`, hasStatus(enabled)},
		"U3 active is null":           {`{"id":"1","active":null}`, hasStatus(enabled)},
		"U3 active is the text True":  {`{"id":"1","active":"True"}`, hasStatus(enabled)},
		"U3 active is the text false": {`{"id":"1","active":"false"}`, hasStatus(disabled)},
		"U3 active is 1":              {`{"id":"1","active":1}`, hasStatus(enabled)},
		"U3 active is 0":              {`{"id":"1","active":0}`, hasStatus(disabled)},
		"U3 active is neither":        {`{"id":"1","active":"pending"}`, hasStatus(unspecified)},
		"U3 active is an object":      {`{"id":"1","active":{"value":false}}`, hasStatus(unspecified)},
		"U4 one e-mail is primary":    {`{"id":"1","emails":[{"value":"a@x.org","type":"work"},{"value":"b@x.org","primary":true},{"value":"c@x.org"}]}`, hasEmails("b@x.org", "a@x.org", "c@x.org")},
		"U4 primary is a text":        {`{"id":"1","emails":[{"value":"a@x.org"},{"value":"b@x.org","primary":"true"}]}`, hasEmails("b@x.org", "a@x.org")},
		"U4 two are primary":          {`{"id":"1","emails":[{"value":"a@x.org"},{"value":"b@x.org","primary":true},{"value":"c@x.org","primary":true}]}`, hasEmails("b@x.org", "a@x.org", "c@x.org")},
		"U4 none is primary":          {`{"id":"1","emails":[{"value":"a@x.org","type":"home"},{"value":"b@x.org","type":"Work"}]}`, hasEmails("b@x.org", "a@x.org")},
		"U4 none is primary or work":  {`{"id":"1","emails":[{"value":"a@x.org"},{"value":"b@x.org"}]}`, hasEmails("a@x.org", "b@x.org")},
		"U4 one address twice":        {`{"id":"1","emails":[{"value":"a@x.org"},{"value":"b@x.org"},{"value":"B@X.org","primary":true}]}`, hasEmails("b@x.org", "a@x.org")},
		"U4 e-mails are texts":        {`{"id":"1","emails":["a@x.org","b@x.org"]}`, hasEmails("a@x.org", "b@x.org")},
		"U4 emails is one object":     {`{"id":"1","emails":{"value":"a@x.org"}}`, hasEmails("a@x.org")},
		"U4 emails is one text":       {`{"id":"1","emails":"a@x.org"}`, hasEmails("a@x.org")},
		"U4 an odd one among them":    {`{"id":"1","emails":[null,5,true,["x"],{},{"value":null},{"value":"none"},{"value":" a@x.org "},{"value":"b@x.org","type":7}]}`, hasEmails("a@x.org", "b@x.org")},
		"U20 a bot is like others": {`{"id":"1","userName":"bot","userType":"Service"}`, all(hasProfile("user_type", "Service"), func(t *testing.T, account *v2.Resource) {
			require.Equal(t, v2.UserTrait_ACCOUNT_TYPE_HUMAN, userTrait(t, account).GetAccountType())
		})},
		"U5 userName is an address": {`{"id":"1","userName":"ann@x.org"}`, hasEmails("ann@x.org")},
		"U5 userName is none":       {`{"id":"1","userName":"ann","emails":[]}`, hasEmails()},
		"U6 userName is no address": {`{"id":"1","userName":"CORP\\ann","emails":[{"value":"a@x.org"}]}`, all(hasLogin(`CORP\ann`), hasEmails("a@x.org"))},
		"U6 userName is a number":   {`{"id":"1","userName":4711}`, hasLogin("4711")},
		"U7 displayName":            {`{"id":"1","displayName":" Ann Lee ","name":{"formatted":"F"},"nickName":"N","userName":"u"}`, hasName("Ann Lee")},
		"U7 name.formatted":         {`{"id":"1","displayName":"","name":{"formatted":"Ms Ann Lee","givenName":"Ann"},"nickName":"N","userName":"u"}`, hasName("Ms Ann Lee")},
		"U7 given and family name":  {`{"id":"1","displayName":null,"name":{"givenName":"Ann","familyName":"Lee"},"nickName":"N"}`, hasName("Ann Lee")},
		"U7 given name alone":       {`{"id":"1","name":{"givenName":"Ann"},"nickName":"N"}`, hasName("Ann")},
		"U7 family name alone":      {`{"id":"1","name":{"familyName":"Lee"},"nickName":"N"}`, hasName("Lee")},
		"U7 nickName":               {`{"id":"1","nickName":"Annie","userName":"u"}`, hasName("Annie")},
		"U7 userName":               {`{"id":"1","displayName":"  ","userName":"ann","emails":["a@x.org"]}`, hasName("ann")},
		"U7 e-mail":                 {`{"id":"1","emails":["a@x.org"]}`, hasName("a@x.org")},
		"U7 id":                     {`{"id":"2819"}`, hasName("2819")},
		"U7 very long":              {`{"id":"1","displayName":"` + strings.Repeat("ü", 600) + `"}`, hasName(strings.Repeat("ü", 512))},
		"U7 not ASCII":              {`{"id":"1","displayName":"Zoë Ångström 山田"}`, hasName("Zoë Ångström 山田")},
		"U8 name is null":           {`{"id":"1","name":null,"userName":"u"}`, hasName("u")},
		"U8 name is a text":         {`{"id":"1","name":"Ann Lee","userName":"u"}`, hasName("u")},
		"U8 name is a list":         {`{"id":"1","name":[{"givenName":"Ann"}],"userName":"u"}`, hasName("u")},
		"U8 a part is an object":    {`{"id":"1","name":{"givenName":{},"familyName":"Lee"}}`, hasName("Lee")},
		"U9 with a zone":            {created(`"2025-03-25T16:17:00+02:00"`), hasCreated("2025-03-25T14:17:00Z")},
		"U9 with a fraction":        {created(`"2025-03-25T16:17:00.123Z"`), hasCreated("2025-03-25T16:17:00.123Z")},
		"U9 without a zone":         {created(`"2025-03-25T16:17:00"`), hasCreated("2025-03-25T16:17:00Z")},
		"U9 zone without a colon":   {created(`"2025-03-25T16:17:00.5+0200"`), hasCreated("2025-03-25T14:17:00.5Z")},
		"U9 with a space":           {created(`"2025-03-25 16:17:00"`), hasCreated("2025-03-25T16:17:00Z")},
		"U9 a day":                  {created(`"2025-03-25"`), hasCreated("2025-03-25T00:00:00Z")},
		"U9 milliseconds":           {created(`1742919420123`), hasCreated("2025-03-25T16:17:00.123Z")},
		"U9 milliseconds as a text": {created(`"1742919420123"`), hasCreated("2025-03-25T16:17:00.123Z")},
		"U9 seconds":                {created(`1742919420`), hasCreated("2025-03-25T16:17:00Z")},
		"U9 empty":                  {created(`""`), hasCreated("")},
		"U9 null":                   {created(`null`), hasCreated("")},
		"U9 year 1":                 {created(`"0001-01-01T00:00:00Z"`), hasCreated("")},
		"U9 no date":                {created(`"yesterday"`), hasCreated("")},
		"U9 an object":              {created(`{"at":"2025-03-25"}`), hasCreated("")},
		"U9 meta is a text":         {`{"id":"1","meta":"x"}`, hasCreated("")},
		"U10 everything": {
			`{"id":"1",` + enterprise + `:{"employeeNumber":"E7","costCenter":"C1","organization":"Org","division":"Div","department":"Dep","manager":{"value":"9","displayName":"Bo Boss"}}}`,
			all(hasEmployeeID("E7"), hasProfile("employee_number", "E7"), hasProfile("cost_center", "C1"), hasProfile("organization", "Org"),
				hasProfile("division", "Div"), hasProfile("department", "Dep"), hasProfile("manager", "Bo Boss")),
		},
		"U10 employeeNumber is a number": {`{"id":"1",` + enterprise + `:{"employeeNumber":701984,"costCenter":4130}}`, all(hasEmployeeID("701984"), hasProfile("employee_number", "701984"), hasProfile("cost_center", "4130"))},
		"U10 manager is a text":          {`{"id":"1",` + enterprise + `:{"manager":"26118915"}}`, hasProfile("manager", "26118915")},
		"U10 manager is a number":        {`{"id":"1",` + enterprise + `:{"manager":26118915}}`, hasProfile("manager", "26118915")},
		"U10 manager without a name":     {`{"id":"1",` + enterprise + `:{"manager":{"value":"9","$ref":"../Users/9"}}}`, hasProfile("manager", "9")},
		"U10 manager of SCIM 1.1":        {`{"id":"1","urn:scim:schemas:extension:enterprise:1.0":{"manager":{"managerId":"9"},"department":"Dep"}}`, all(hasProfile("manager", "9"), hasProfile("department", "Dep"))},
		"U10 manager is half odd":        {`{"id":"1",` + enterprise + `:{"manager":{"displayName":5,"value":"9"}}}`, hasProfile("manager", "9")},
		"U10 the extension is a text":    {`{"id":"1",` + enterprise + `:"x"}`, hasEmployeeID()},
		"U11 roles are objects":          {`{"id":"1","roles":[{"value":"admin","display":"Admin","primary":true},{"value":"guest"}]}`, hasProfile("roles", "Admin, guest")},
		"U11 roles are texts":            {`{"id":"1","roles":["Admin","Guest","Admin"]}`, hasProfile("roles", "Admin, Guest")},
		"U11 roles is one object":        {`{"id":"1","roles":{"value":"Architect"}}`, hasProfile("roles", "Architect")},
		"U11 roles is one text":          {`{"id":"1","roles":"Explorer"}`, hasProfile("roles", "Explorer")},
		"U11 roles are numbers":          {`{"id":"1","roles":[3,{"value":4}]}`, hasProfile("roles", "3, 4")},
		"U11 roles is null":              {`{"id":"1","roles":null}`, lacksProfile("roles")},
		"U11 entitlements in any form":   {`{"id":"1","entitlements":"seat","groups":{"value":"g1"},"phoneNumbers":[1,"2"],"addresses":"here"}`, hasID("1")},
		"U11 groups in any form":         {`{"id":"1","entitlements":{"value":"seat"},"groups":["g1"],"x509Certificates":7,"photos":null}`, hasID("1")},
		"U12 an unknown extension":       {`{"id":"1","urn:fullstory:params:scim:schemas:extension:1.0:User":{"role":"Architect","seat":{"x":[1]}}}`, hasProfile("roles", "Architect")},
		"U12 roles in an extension":      {`{"id":"1","roles":["Admin"],"urn:x:User" : {"roles":[{"value":"Guest"},"Admin"]}}`, hasProfile("roles", "Admin, Guest")},
		"U12 the extension is odd":       {`{"id":"1","urn:x:User":[1,2],"urn:y:User":"z"}`, lacksProfile("roles")},
		"U13 externalId":                 {`{"id":"1","externalId":"00u1"}`, hasProfile("external_id", "00u1")},
		"U13 externalId is a number":     {`{"id":"1","externalId":77}`, hasProfile("external_id", "77")},
		"U14 the other attributes": {
			`{"id":"1","userName":"ann","displayName":"Ann Lee","name":{"givenName":"Ann","familyName":"Lee"},"emails":["a@x.org"],"title":"VP","userType":"Employee","locale":"en-US","timezone":"Europe/Oslo"}`,
			func(t *testing.T, account *v2.Resource) {
				require.Equal(t, map[string]any{
					"scim_id": "1", "user_id": "1", "user_name": "ann", "login": "ann", "email": "a@x.org",
					"display_name": "Ann Lee", "first_name": "Ann", "last_name": "Lee",
					"title": "VP", "user_type": "Employee", "locale": "en-US", "time_zone": "Europe/Oslo",
				}, account.GetProfile().AsMap())
			},
		},
		"U14 attributes of wrong types": {`{"id":"1","title":5,"userType":[],"locale":{},"timezone":true,"displayName":7,"nickName":false}`, func(t *testing.T, account *v2.Resource) {
			require.Equal(t, map[string]any{"scim_id": "1", "user_id": "1"}, account.GetProfile().AsMap())
		}},
		"U15 what is not listed stays": {`{"id":"1","password":"hunter2-secret","x509Certificates":[{"value":"hunter2-secret"}],"urn:x:User":{"apiKey":"hunter2-secret"},"note":"hunter2-secret"}`, func(t *testing.T, account *v2.Resource) {
			written, err := json.Marshal(account.GetProfile().AsMap())
			require.NoError(t, err)
			require.NotContains(t, string(written), "hunter2")
			require.NotContains(t, account.String(), "hunter2")
		}},
		"U16 meta.resourceType is user": {`{"id":"1","meta":{"resourceType":"user"}}`, hasID("1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accounts, err := listAll(t, newConnector(t, start(t, userList(c.user, `{"id":"another","userName":"another"}`))))
			require.NoError(t, err)
			delete(accounts, "another")
			require.Len(t, accounts, 1)
			account := slices.Collect(maps.Values(accounts))[0]
			requireConsistent(t, account)
			c.check(t, account)
		})
	}
}

// requireConsistent checks what holds for every account, whatever was sent.
func requireConsistent(t *testing.T, account *v2.Resource) {
	t.Helper()
	require.Equal(t, "user", account.GetId().GetResourceType())
	require.NotEmpty(t, account.GetDisplayName())
	trait := userTrait(t, account)
	require.Equal(t, int32(account.GetStatus().GetStatus()), int32(trait.GetStatus().GetStatus()), "status of trait and resource") //nolint:staticcheck // both must agree
	require.False(t, trait.HasProfile(), "the profile is written once")                                                            //nolint:staticcheck // and not here
	require.Equal(t, v2.UserTrait_ACCOUNT_TYPE_HUMAN, trait.GetAccountType())
	require.Equal(t, account.GetProfile(), resource.GetProfile(account), "the profile is where the SDK looks for it")
	primary := 0
	for _, email := range trait.GetEmails() {
		if email.GetIsPrimary() {
			primary++
		}
	}
	require.Equal(t, min(len(trait.GetEmails()), 1), primary, "exactly one primary e-mail")
}

// TestUserLists: what a page does with users that are not like the others.
func TestUserLists(t *testing.T) {
	t.Parallel()

	for name, user := range map[string]string{
		"U1 id is missing":           `{"userName":"cy@x.org"}`,
		"U1 id is empty":             `{"id":" ","userName":"cy@x.org"}`,
		"U1 id is null":              `{"id":null,"userName":"cy@x.org"}`,
		"U1 id is an object":         `{"id":{"value":"3"},"userName":"cy@x.org"}`,
		"U1 id cannot be read (H16)": `{"id":"a\ufffd","userName":"cy@x.org"}`,
		"U1 id is too long":          fmt.Sprintf(`{"id":%q,"userName":"cy@x.org"}`, strings.Repeat("x", 1025)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, userList(`{"id":"1"}`, `{"id":"2"}`, user))
			require.Equal(t, codes.DataLoss, st.Code())
			require.Contains(t, st.Message(), `number 3 on its page, userName "cy@x.org"`)
		})
	}

	for name, user := range map[string]string{
		"U1 a user is null":   `null`,
		"U1 a user is a text": `"ann"`,
		"U1 a user is a list": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, userList(`{"id":"1"}`, user))
			require.Equal(t, codes.DataLoss, st.Code())
			require.Contains(t, st.Message(), "number 2 on its page")
		})
	}

	t.Run("U16 groups among the users are left out", func(t *testing.T) {
		t.Parallel()
		accounts, err := listAll(t, newConnector(t, start(t, userList(
			`{"id":"1","userName":"ann"}`, `{"id":"g","displayName":"Everyone","meta":{"resourceType":"Group"}}`, `{"id":"2","meta":{"resourceType":"User"}}`))))
		require.NoError(t, err)
		requireIDs(t, []string{"1", "2"}, accounts)
	})

	t.Run("U16 a group has no id either", func(t *testing.T) {
		t.Parallel()
		accounts, err := listAll(t, newConnector(t, start(t, userList(`{"id":"1","userName":"ann"}`, `{"displayName":"Everyone","meta":{"resourceType":"Group"}}`))))
		require.NoError(t, err)
		requireIDs(t, []string{"1"}, accounts)
	})

	for name, resourceType := range map[string]string{
		"of the app's own": "Account", "in lower case": "user", "with an extension": "EnterpriseUser", "a URN": "urn:ietf:params:scim:schemas:core:2.0:User",
	} {
		t.Run("U16 users of a type "+name, func(t *testing.T) {
			t.Parallel()
			accounts, err := listAll(t, newConnector(t, start(t, userList(
				`{"id":"1","userName":"ann","meta":{"resourceType":"`+resourceType+`"}}`, `{"id":"2","meta":{"resourceType":"`+resourceType+`"}}`))))
			require.NoError(t, err)
			requireIDs(t, []string{"1", "2"}, accounts)
		})
	}

	t.Run("U16 a user that declares itself a group", func(t *testing.T) {
		t.Parallel()
		accounts, err := listAll(t, newConnector(t, start(t, userList(`{"id":"1","userName":"ann","meta":{"resourceType":"Group"}}`))))
		require.NoError(t, err)
		requireIDs(t, []string{"1"}, accounts)
	})

	t.Run("U16 nothing but groups is no list of users", func(t *testing.T) {
		t.Parallel()
		st := listFails(t, userList(`{"id":"1","meta":{"resourceType":"Group"}}`, `{"id":"2","meta":{"resourceType":"Group"}}`))
		require.Equal(t, codes.FailedPrecondition, st.Code())
		require.Contains(t, st.Message(), "lists 2 resources as its users, and all of them are groups")
	})

	t.Run("U17 two users with one id", func(t *testing.T) {
		t.Parallel()
		st := listFails(t, userList(`{"id":"1","userName":"ann"}`, `{"id":"2"}`, `{"id":"1","userName":"bob"}`))
		require.Equal(t, codes.DataLoss, st.Code())
		require.Contains(t, st.Message(), `has the id of another on the same page (number 3 on its page, userName "bob")`)
	})

	for name, users := range map[string][2]string{
		"one without a user name":  {`{"id":"1","userName":"ann"}`, `{"id":"1","displayName":"Bob"}`},
		"both without a user name": {`{"id":"1","displayName":"Ann"}`, `{"id":"1","displayName":"Bob"}`},
		"another display name":     {`{"id":"1","userName":"ann","displayName":"old"}`, `{"id":"1","userName":"ann","displayName":"new"}`},
		"one of them disabled":     {`{"id":"1","userName":"ann"}`, `{"id":"1","userName":"ann","active":false}`},
	} {
		t.Run("S5: two users with one id: "+name, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, userList(users[0], `{"id":"2","userName":"eve"}`, users[1]))
			require.Equal(t, codes.DataLoss, st.Code())
			require.Contains(t, st.Message(), "has the id of another on the same page (number 3 on its page")
		})
	}
	t.Run("S5: the same user twice", func(t *testing.T) {
		t.Parallel()
		accounts, err := listAll(t, newConnector(t, start(t, userList(`{"id":"1","userName":"ann"}`, `{"id":"2"}`, `{"id":"1","userName":"ann"}`))))
		require.NoError(t, err)
		requireIDs(t, []string{"1", "2"}, accounts)
	})
}

// TestUserVersion: U19, a full sync asks for everything and for nothing on
// condition; a version that stays the same means nothing.
func TestUserVersion(t *testing.T) {
	t.Parallel()
	a := newApp(150)
	a.answer = func(_ listRequest, answer map[string]any) map[string]any {
		page, _ := answer["Resources"].([]any)
		for i := range page {
			user, _ := page[i].(map[string]any)
			user["meta"] = map[string]any{"resourceType": "User", "version": `W/"same"`}
		}
		return answer
	}
	accounts, err := listAll(t, newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `W/"same"`)
		a.ServeHTTP(w, r)
	}))))
	require.NoError(t, err)
	requireIDs(t, a.ids, accounts)
	for _, r := range a.requests {
		for _, header := range []string{"If-None-Match", "If-Match", "If-Modified-Since"} {
			require.Empty(t, r.http.Header.Get(header))
		}
	}
}

// TestWarnings: what had to be guessed is in the log, once a batch and without
// what was sent.
func TestWarnings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		users   []string
		message string
		count   int64
	}{
		"U3 active is neither":     {[]string{`{"id":"1","userName":"a","active":"maybe"}`, `{"id":"2","active":"maybe"}`, `{"id":"3","active":true}`}, "neither true nor false", 2},
		"U17 listed twice, equal":  {[]string{`{"id":"1","userName":"a"}`, `{"id":"1","userName":"a"}`}, "", 0},
		"nothing is odd in a list": {[]string{`{"id":"1","userName":"a","active":true}`, `{"id":"2","active":false}`}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logged := observer.New(zap.WarnLevel)
			ctx := ctxzap.ToContext(t.Context(), zap.New(core))
			_, _, err := listOnce(ctx, newConnector(t, start(t, userList(c.users...))), "")
			require.NoError(t, err)
			if c.message == "" {
				require.Empty(t, logged.All())
				return
			}
			require.Len(t, logged.All(), 1)
			require.Contains(t, logged.All()[0].Message, c.message)
			require.Equal(t, map[string]any{"resources": c.count}, logged.All()[0].ContextMap())
		})
	}
}

func created(at string) string { return `{"id":"1","meta":{"created":` + at + `}}` }

type check = func(t *testing.T, account *v2.Resource)

func all(checks ...check) check {
	return func(t *testing.T, account *v2.Resource) {
		for _, c := range checks {
			c(t, account)
		}
	}
}

func hasID(want string) check {
	return func(t *testing.T, account *v2.Resource) { require.Equal(t, want, account.GetId().GetResource()) }
}

func hasName(want string) check {
	return func(t *testing.T, account *v2.Resource) { require.Equal(t, want, account.GetDisplayName()) }
}

func hasStatus(want v2.Status_ResourceStatus) check {
	return func(t *testing.T, account *v2.Resource) {
		require.Equal(t, want, account.GetStatus().GetStatus())
		require.Equal(t, want == v2.Status_RESOURCE_STATUS_UNSPECIFIED, account.GetStatus().GetDetails() != "")
	}
}

func hasLogin(want string) check {
	return func(t *testing.T, account *v2.Resource) { require.Equal(t, want, userTrait(t, account).GetLogin()) }
}

// hasEmails checks the addresses; the first is the primary one.
func hasEmails(want ...string) check {
	return func(t *testing.T, account *v2.Resource) {
		var got []string
		for i, email := range userTrait(t, account).GetEmails() {
			require.Equal(t, i == 0, email.GetIsPrimary())
			got = append(got, email.GetAddress())
		}
		require.Equal(t, want, got)
		if len(want) > 0 {
			hasProfile("email", want[0])(t, account)
		} else {
			lacksProfile("email")(t, account)
		}
	}
}

func hasCreated(want string) check {
	return func(t *testing.T, account *v2.Resource) {
		if want == "" {
			require.Nil(t, account.GetCreatedAt())
			return
		}
		require.Equal(t, want, account.GetCreatedAt().AsTime().Format(time.RFC3339Nano))
	}
}

func hasEmployeeID(want ...string) check {
	return func(t *testing.T, account *v2.Resource) {
		require.Equal(t, want, userTrait(t, account).GetEmployeeIds())
	}
}

func hasProfile(key, want string) check {
	return func(t *testing.T, account *v2.Resource) {
		require.Equal(t, want, account.GetProfile().AsMap()[key], "profile key %s", key)
	}
}

func lacksProfile(key string) check {
	return func(t *testing.T, account *v2.Resource) {
		require.NotContains(t, account.GetProfile().AsMap(), key)
	}
}

func userTrait(t *testing.T, account *v2.Resource) *v2.UserTrait {
	t.Helper()
	trait, err := resource.GetUserTrait(account)
	require.NoError(t, err)
	return trait
}

// TestControlCharacters: the host refuses them, and a title with one must not keep its
// app from being read. In what an account is matched by they stay, to be refused.
func TestControlCharacters(t *testing.T) {
	t.Parallel()
	account := listOne(t, oneUser(`{"id":"7","userName":"ann","displayName":"red\u001b[31m","title":"one\u000btwo\u0000\u007f","nickName":"\u0085"}`))
	require.Equal(t, "red\uFFFD[31m", account.GetDisplayName())
	profile := account.GetProfile().AsMap()
	require.Equal(t, "red\uFFFD[31m", profile["display_name"])
	require.Equal(t, "one\vtwo\uFFFD\uFFFD", profile["title"])

	account = listOne(t, oneUser(`{"id":"7\u0001","userName":"an\u0000n"}`))
	require.Equal(t, "7\x01", account.GetId().GetResource())
	require.Equal(t, "an\x00n", userTrait(t, account).GetLogin())
}
