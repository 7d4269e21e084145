//! The template and the code name the same things.

use std::path::Path;

use messages::Queue;

use crate::{folder, read};

#[test]
fn the_template_deploys_every_function_and_no_other() -> anyhow::Result<()> {
    let template = read("infra/template.yaml")?;
    let code = template.lines().filter_map(|line| {
        line.trim().strip_prefix("CodeUri: ../target/lambda/")?.strip_suffix('/')
    });
    let mut deployed: Vec<&str> = code.collect();
    deployed.sort_unstable();
    assert_eq!(deployed, folder("functions")?);
    Ok(())
}

#[test]
fn every_queue_has_its_variable_its_dead_letters_and_its_alarms() -> anyhow::Result<()> {
    let template = read("infra/template.yaml")?;
    for queue in Queue::ALL {
        let dead = queue.url_variable().replace("_QUEUE_URL", "_DLQ_URL");
        let name = format!("QueueName: !Sub \"${{AWS::StackName}}-{}\"", queue.name());
        let dead_name = format!("QueueName: !Sub \"${{AWS::StackName}}-{}-dlq\"", queue.name());
        for wanted in [&name, &dead_name, queue.url_variable(), &dead] {
            assert!(template.contains(wanted), "{wanted} is not in the template");
        }
    }
    let alarmed = |metric: &str| template.matches(&format!("MetricName: {metric}\n")).count();
    assert_eq!(alarmed("ApproximateAgeOfOldestMessage"), Queue::ALL.len());
    // The dead letters of each, and what the stream's relay could not take.
    assert_eq!(alarmed("ApproximateNumberOfMessagesVisible"), Queue::ALL.len() + 1);
    Ok(())
}

#[test]
fn each_function_that_carries_payments_forward_alarms_when_stripe_finds_a_call_wrong()
-> anyhow::Result<()> {
    let template = read("infra/template.yaml")?;
    let mut carrying = 0;
    for function in folder("functions")? {
        let source = format!("functions/{function}/src");
        let is_code = |name: &String| Path::new(name).extension().is_some_and(|it| it == "rs");
        let files = folder(&source)?.into_iter().filter(is_code);
        let code: Vec<_> =
            files.map(|name| read(&format!("{source}/{name}"))).collect::<Result<_, _>>()?;
        if !code.concat().contains("collection::advance(") {
            continue;
        }
        carrying += 1;
        let dimensions = format!("Dimensions: [{{Name: Function, Value: {function}}}]");
        let alarm = format!("MetricName: RejectedCalls\n      {dimensions}\n");
        assert!(template.contains(&alarm), "{function} has no alarm of rejected calls");
    }
    assert_eq!(carrying, template.matches("MetricName: RejectedCalls\n").count());
    Ok(())
}
