//! Controls: scores without any gradient, a file each. They stand beside the methods in every table, so that a reader
//! sees what the task gives away by itself.
//!
//! Where a control finds the queries' classes as well as influence does, the task says nothing about influence. They
//! need what [`Companions`](super::Companions) carry beside the gradients; one that lacks it says so by name. The score
//! of the mean query is the mean over the queries.

mod cosine;
mod part;

use crate::influence::registry::methods;

methods! {
    token_bags: TokenBags,
    length: Length,
    rep_sim: RepSim,
    embed_cos: EmbedCos,
    random: Random,
}

#[cfg(test)]
mod tests {
    use crate::data::{HiddenStates, Texts};
    use crate::gradients::store::{GradientStore, TensorInfo};
    use crate::influence::{
        BlockLayout, Blocks, Companions, Influence, InfluenceError, Queries, RunOptions, damping,
        run_method,
    };

    fn store(rows: usize) -> GradientStore {
        let values = (0..2 * rows).map(|i| i as f32 + 1.0).collect();
        GradientStore::from_memory(rows, vec![(TensorInfo::new("t", [2]), values)]).unwrap()
    }

    fn run(
        method: &str,
        queries: Queries,
        companions: Companions<'_>,
    ) -> Result<Influence, InfluenceError> {
        let (train, query) = (store(4), store(2));
        let layout = BlockLayout::new(train.tensors(), Blocks::Whole);
        let lambda = damping(&train, &layout, 0.1).unwrap();
        let options = RunOptions {
            queries,
            seed: 3,
            companions,
            ..RunOptions::default()
        };
        let spec = method.parse().unwrap();
        run_method(&spec, &train, &query, &layout, &lambda, &options)
    }

    fn texts(rows: usize) -> Texts {
        let prompts: Vec<Vec<u32>> = (0..rows as u32).map(|i| (0..=i % 3).collect()).collect();
        Texts {
            whole: prompts
                .iter()
                .map(|ids| [ids.as_slice(), &[9]].concat())
                .collect(),
            prompts,
        }
    }

    fn states(rows: usize) -> HiddenStates {
        let last = ndarray::Array2::from_shape_fn((rows, 3), |(i, j)| (i * i + j) as f32);
        HiddenStates {
            mean: last.mapv(f32::sin),
            last,
        }
    }

    #[test]
    fn a_control_lacks_what_it_needs_by_name() {
        for (method, what) in [
            ("token_bags", "the texts of the examples in tokens"),
            ("length:of=text", "the texts of the examples in tokens"),
            ("rep_sim", "hidden states of a language model's last layer"),
            ("embed_cos", "images and captions of a diffusion model"),
        ] {
            let error = run(method, Queries::Each, Companions::default()).unwrap_err();
            let name = method.split(':').next().unwrap();
            let expected = format!("`{name}` needs {what}, which are not there");
            assert_eq!(error.to_string(), expected);
        }
        let few = [texts(3), texts(2)];
        let companions = Companions {
            texts: Some(&few),
            ..Companions::default()
        };
        assert_eq!(
            run("token_bags", Queries::Each, companions)
                .unwrap_err()
                .to_string(),
            "texts of 3 training examples and 2 queries came beside gradients of 4 and 2"
        );
    }

    #[test]
    fn the_mean_query_has_the_mean_of_the_scores() {
        let (texts, states) = ([texts(4), texts(2)], [states(4), states(2)]);
        let companions = Companions {
            texts: Some(&texts),
            hidden_states: Some(&states),
            ..Companions::default()
        };
        for method in [
            "token_bags",
            "length",
            "rep_sim",
            "rep_sim:token=mean",
            "random",
        ] {
            let of = |queries| run(method, queries, companions).unwrap().scores;
            let (each, mean, both) = (
                of(Queries::Each),
                of(Queries::Mean),
                of(Queries::EachAndMean),
            );
            assert_eq!(
                (each.dim(), mean.dim(), both.dim()),
                ((2, 4), (1, 4), (3, 4))
            );
            for k in 0..4 {
                let expected = (each[(0, k)] + each[(1, k)]) / 2.0;
                assert!((mean[(0, k)] - expected).abs() < 1e-15, "{method}");
                assert_eq!(both[(2, k)], mean[(0, k)], "{method}");
                assert_eq!(both[(1, k)], each[(1, k)], "{method}");
            }
        }
        // the more alike, the more negative: equal texts come first
        let scores = run("token_bags", Queries::Each, companions).unwrap().scores;
        assert!((scores[(0, 0)] + 1.0).abs() < 1e-15 && scores[(0, 2)] > -1.0);
        let lengths = run("length", Queries::Each, companions).unwrap().scores;
        assert_eq!(lengths.row(0).to_vec(), [0.0, 1.0, 2.0, 0.0]);
    }
}
