//! Registries that speak the API in their own way, answer without end, or lack what is asked for; and what is remembered.

use super::{Set, avro, order, record, settings, target, wait, write};
use crate::mock::Fault;
use crate::registry::{IdForm, KEY_SCHEMA_ID_HEADER, Reference, Schema, SchemaKind, SchemaSource};
use crate::{ErrorKind, Role, Target};
use serde_json::json;

#[test]
fn answers_of_other_registries_are_read() {
    let set = Set::new();
    let schema = order().text;
    for answer in [
        // Redpanda leaves out what is Avro and empty.
        json!({"subject": "s", "version": 3, "id": 7, "schema": schema}),
        // Confluent's, as of version 8.
        json!({"subject": "s", "version": 3, "id": 7, "guid": "89791762-2336-4186-9674-299b90a802e2",
               "schemaType": "AVRO", "schema": schema, "references": [], "metadata": {"tags": {}}, "ruleSet": null,
               "ts": 1_700_000_000_000_i64, "deleted": false}),
        // Serializers for Java that write nulls, as registries beside Confluent's use them.
        json!({"subject": "s", "version": 3, "id": 7, "guid": null, "schemaType": null, "schema": schema,
               "references": null}),
    ] {
        set.mock.push_fault(Fault::Body(answer.to_string()));
        let latest = wait(set.registry().latest("s")).unwrap_or_else(|error| panic!("{answer}: {error}"));
        assert_eq!(
            (latest.registered.id, latest.registered.version),
            (7, Some(3)),
            "{answer}"
        );
        assert_eq!(
            (latest.schema.kind, latest.schema.text),
            (SchemaKind::Avro, schema.clone()),
            "{answer}"
        );
        assert_eq!(
            latest.registered.guid.is_some(),
            answer["guid"].is_string(),
            "{answer}"
        );
    }
    // The path of Apicurio's is not the root.
    let apicurio = format!("{}/apis/ccompat/v7/", set.server.url());
    set.mock.take_requests();
    let error =
        wait(set.registry_with(&apicurio, |config| config).latest("s")).expect_err("the mock is at the root");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        set.mock.take_requests(),
        ["GET /apis/ccompat/v7/subjects/s/versions/latest"]
    );
}

#[test]
fn keys_have_a_subject_and_a_header_of_their_own() {
    let set = Set::new();
    let headers = settings(|settings| settings.id_form = IdForm::Header);
    let serializer = avro(set.registry(), headers, Some(order()));
    let key = Target::new("orders", Role::Key);
    let (payload, headers) = write(&serializer, &key, &json!({"id": 1})).expect("written");
    assert_eq!((&payload[..], &*headers[0].0), (&[2][..], KEY_SCHEMA_ID_HEADER));
    assert_eq!(
        set.mock.take_requests(),
        ["POST /subjects/orders-key/versions", "POST /subjects/orders-key"]
    );
}

#[test]
fn a_registry_without_guids_says_so_for_the_header_form() {
    let set = Set::new();
    for source in [SchemaSource::Register, SchemaSource::Id(1)] {
        for _ in 0..2 {
            let answer = json!({"id": 1, "schema": order().text});
            set.mock.push_fault(Fault::Body(answer.to_string()));
        }
        let settings = settings(|settings| {
            settings.id_form = IdForm::Header;
            settings.source = source;
        });
        let own = (source == SchemaSource::Register).then(order);
        let error = write(
            &avro(set.registry(), settings, own),
            &target("orders"),
            &json!({"id": 1}),
        );
        let error = error.expect_err("no GUID");
        assert_eq!(
            (error.kind(), error.subject()),
            (ErrorKind::Refused, Some("orders-value")),
            "{error}"
        );
        assert!(error.message().contains("prefix form"), "{error}");
    }
}

#[test]
fn normalizing_is_asked_of_the_registry() {
    let set = Set::new();
    let normalize = settings(|settings| settings.normalize = true);
    let serializer = avro(set.registry(), normalize, Some(order()));
    write(&serializer, &target("orders"), &json!({"id": 1})).expect("written");
    assert_eq!(
        set.mock.take_requests(),
        ["POST /subjects/orders-value/versions?normalize=true"]
    );
}

#[test]
fn references_end() {
    let refers_to = |count: usize| {
        let references: Vec<_> = (0..count)
            .map(|at| json!({"name": format!("n{at}"), "subject": "inner", "version": 1}))
            .collect();
        json!({"id": 1, "version": 1, "schema": "\"long\"", "references": references}).to_string()
    };
    // One that refers to itself, through ever the same answer; and one that refers to three hundred.
    for answers in [
        vec![refers_to(1); 40],
        [vec![refers_to(300)], vec![refers_to(0); 300]].concat(),
    ] {
        let set = Set::new();
        let count = answers.len();
        for answer in answers {
            set.mock.push_fault(Fault::Body(answer));
        }
        let error = wait(set.registry().latest("outer")).expect_err("too many");
        assert_eq!(
            (error.kind(), error.subject()),
            (ErrorKind::Schema, Some("inner")),
            "{error}"
        );
        let asked = set.mock.take_requests().len();
        assert!(asked < count, "{asked} requests of {count}");
    }
    let set = Set::new();
    let inner =
        |schema: Schema| record("R", &json!([])).with_reference(Reference::to_schema("x", "x", schema));
    let deep = (0..40).fold(order(), |schema, _| inner(schema));
    let error = wait(set.registry().register("s", &deep, false)).expect_err("too deep");
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(set.mock.take_requests().is_empty(), "nothing of it is registered");
}

#[test]
fn what_the_client_remembers_is_bounded() {
    let set = Set::new();
    let registry = set.registry_with(&set.server.url(), |mut config| {
        config.schemas_max = 2;
        config
    });
    let ask = |subject: &str| {
        wait(registry.register(subject, &order(), false)).expect("registered");
        set.mock.take_requests().len()
    };
    assert_eq!(["a", "b", "a", "b"].map(ask), [1, 1, 0, 0]);
    // The third begins anew.
    assert_eq!(["c", "c", "a"].map(ask), [1, 0, 1]);
}

#[test]
fn who_answered_last_is_asked_first() {
    let (sick, well) = (Set::new(), Set::new());
    let both = format!("{},{}", sick.server.url(), well.server.url());
    let registry = sick.registry_with(&both, |config| config);
    sick.mock.push_fault(Fault::Status(503));
    for subject in ["a", "b"] {
        wait(registry.register(subject, &order(), false)).expect("the other one answers");
    }
    assert_eq!(sick.mock.take_requests(), ["POST /subjects/a/versions"]);
    assert_eq!(
        well.mock.take_requests(),
        ["POST /subjects/a/versions", "POST /subjects/b/versions"]
    );
    assert!(sick.http.pauses.lock().is_empty(), "nobody waited");
    // A refusal by the next one is an answer, and the trouble of the first one does not hide it.
    well.mock.push_fault(Fault::Status(500));
    sick.mock.push_fault(Fault::Status(401));
    let error = wait(registry.register("c", &order(), false)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[test]
fn a_schema_of_another_kind_is_refused() {
    let set = Set::new();
    let json = Schema::new(SchemaKind::Json, "{}");
    wait(set.registry().register("orders-value", &json, false)).expect("registered");
    let latest = settings(|settings| settings.source = SchemaSource::Latest);
    let error = write(&avro(set.registry(), latest, None), &target("orders"), &json!(1)).expect_err("JSON");
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::Schema, Some("orders-value")),
        "{error}"
    );
}
